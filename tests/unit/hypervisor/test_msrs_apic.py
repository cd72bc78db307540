"""The synthetic MSRs of the APIC."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.msrs import read_msr, write_msr
from minihv.hypervisor.states import VpState
from minihv.spec.msrs import Msr


def test_end_of_interrupt_is_written_and_not_read() -> None:
    with SmallMachine("sti; nop; hlt", handlers={0x40: "hlt"}) as machine:
        machine.vp.apic.request(0x40)
        machine.run()
        assert machine.vp.apic.in_service and read_msr(machine.vp, Msr.EOI) is None
        assert write_msr(machine.vp, Msr.EOI, 0) and not machine.vp.apic.in_service


def test_task_priority_has_eight_bits() -> None:
    with SmallMachine() as machine:
        assert write_msr(machine.vp, Msr.TPR, 0x53) and read_msr(machine.vp, Msr.TPR) == 0x53
        assert not write_msr(machine.vp, Msr.TPR, 0x100)


def test_command_is_sent_and_reads_back() -> None:
    with SmallMachine(vps=2) as machine:
        assert write_msr(machine.vp, Msr.ICR, 1 << 56 | 0x41)
        assert read_msr(machine.vp, Msr.ICR) == 1 << 56 | 0x41
        assert machine.partition.vps[1].apic.requested == 1 << 0x41


@pytest.mark.parametrize("flags", ["sti", "cli"])
def test_guest_idle_waits_for_an_interrupt_even_one_that_is_masked(flags: str) -> None:
    code = f"{flags}; mov ecx, {int(Msr.GUEST_IDLE)}; rdmsr; inc ebx; cli; hlt"
    with SmallMachine(code, handlers={0x40: "inc esi; iretq"}) as machine:
        machine.run()
        assert machine.vp.state is VpState.IDLE and machine.vp.read("rbx") == 0
        machine.vp.apic.request(0x40, auto_eoi=True)
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.read("rsi")) == (1, int(flags == "sti"))


def test_guest_idle_with_an_interrupt_pending_does_not_wait() -> None:
    with SmallMachine(f"mov ecx, {int(Msr.GUEST_IDLE)}; rdmsr; inc ebx; hlt") as machine:
        machine.vp.apic.request(0x40)
        machine.run()
        assert machine.vp.read("rbx") == 1


def test_assist_page_asks_for_no_less_than_an_end_of_interrupt() -> None:
    with SmallMachine() as machine:
        machine.write(0x9000, 0xFFFF_FFFF_FFFF_FFFF)
        assert write_msr(machine.vp, Msr.VP_ASSIST_PAGE, 0x9001)
        assert read_msr(machine.vp, Msr.VP_ASSIST_PAGE) == 0x9001
        assert machine.read(0x9000) == 0xFFFF_FFFF_0000_0000


def test_assist_page_outside_memory_is_refused_unless_it_is_disabled() -> None:
    with SmallMachine() as machine:
        assert not write_msr(machine.vp, Msr.VP_ASSIST_PAGE, 1 << 40 | 1)
        assert write_msr(machine.vp, Msr.VP_ASSIST_PAGE, 1 << 40)
