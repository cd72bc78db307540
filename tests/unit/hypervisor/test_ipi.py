"""Interrupts between VPs: whom a command names, and what reaches them."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.ipi import destinations, send
from minihv.hypervisor.states import VpState
from minihv.spec.apic import ApicBase, DeliveryMode, InterruptCommand, Shorthand
from minihv.spec.msrs import Msr

VECTOR = 0x41


def machine_of_four(*, x2apic: bool = False) -> SmallMachine:
    """Four VPs with the logical ids 1, 2, 4 and 8."""
    machine = SmallMachine(vps=4)
    for vp in machine.partition.vps:
        vp.apic_registers.write_logical_id(1 << 24 + vp.index)
        if x2apic:
            vp.apic_registers.write_base(int(vp.apic_registers.base) | ApicBase.x2apic.mask)
    return machine


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (InterruptCommand(destination=2 << 24), [2]),
        (InterruptCommand(destination=9 << 24), []),
        (InterruptCommand(destination=0xFF << 24), [0, 1, 2, 3]),
        (InterruptCommand(destination=0b1010 << 24, logical=True), [1, 3]),
        (InterruptCommand(shorthand=Shorthand.SELF), [1]),
        (InterruptCommand(shorthand=Shorthand.ALL), [0, 1, 2, 3]),
        (InterruptCommand(shorthand=Shorthand.ALL_BUT_SELF), [0, 2, 3]),
    ],
    ids=repr,
)
def test_command_of_xapic_mode_names_its_vps(command: InterruptCommand, named: list[int]) -> None:
    with machine_of_four() as machine:
        assert [vp.index for vp in destinations(machine.partition.vps[1], command)] == named


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (InterruptCommand(destination=2), [2]),
        (InterruptCommand(destination=0xFFFF_FFFF), [0, 1, 2, 3]),
        (InterruptCommand(destination=0b1010, logical=True), [1, 3]),
        (InterruptCommand(destination=1 << 16 | 0b1010, logical=True), []),
    ],
    ids=repr,
)
def test_command_of_x2apic_mode_names_its_vps(command: InterruptCommand, named: list[int]) -> None:
    with machine_of_four(x2apic=True) as machine:
        assert [vp.index for vp in destinations(machine.partition.vps[1], command)] == named


def test_cluster_model_takes_the_upper_half_of_the_destination_as_the_cluster() -> None:
    with machine_of_four() as machine:
        for vp in machine.partition.vps:
            vp.apic_registers.write_format(0)
            vp.apic_registers.write_logical_id((vp.index // 2 << 4 | 1 << vp.index % 2) << 24)
        command = InterruptCommand(destination=0x13 << 24, logical=True)
        assert [vp.index for vp in destinations(machine.vp, command)] == [2, 3]


def test_fixed_interrupt_reaches_everybody_and_the_lowest_priority_one_a_single_vp() -> None:
    with machine_of_four() as machine:
        vps = machine.partition.vps
        everybody = InterruptCommand(vector=VECTOR, shorthand=Shorthand.ALL)
        send(vps[0], everybody)
        assert [vp.apic.requested for vp in vps] == [1 << VECTOR] * 4
        for vp in vps:
            vp.apic.reset()
        vps[0].apic.tpr = vps[1].apic.tpr = 0x30
        send(vps[0], everybody.replace(delivery_mode=DeliveryMode.LOWEST_PRIORITY))
        assert [vp.apic.requested for vp in vps] == [0, 0, 1 << VECTOR, 0]


def test_illegal_vector_is_told_to_the_sender_and_sent_to_nobody() -> None:
    with machine_of_four() as machine:
        send(machine.vp, InterruptCommand(vector=15, shorthand=Shorthand.ALL))
        assert machine.vp.apic.requested == 0
        machine.vp.apic_registers.write_errors(0)
        assert machine.vp.apic_registers.read(0x280) == 1 << 5


def test_nmi_wakes_a_vp_that_no_interrupt_would_wake() -> None:
    with SmallMachine("hlt; inc ebx; hlt", handlers={2: "inc ecx; iretq"}) as machine:
        machine.run()
        send(machine.vp, InterruptCommand(delivery_mode=DeliveryMode.NMI, shorthand=Shorthand.SELF))
        assert machine.vp.state is VpState.READY
        machine.run()
        assert (machine.vp.read("rcx"), machine.vp.read("rbx")) == (1, 1)


def test_nmi_of_a_vp_to_itself_comes_behind_the_instruction_that_sent_it() -> None:
    command = int(InterruptCommand(delivery_mode=DeliveryMode.NMI, shorthand=Shorthand.SELF))
    code = f"mov ecx, {int(Msr.ICR)}; mov eax, {command}; xor edx, edx; wrmsr; inc ebx; hlt"
    with SmallMachine(code, handlers={2: "mov esi, ebx; inc edi; iretq"}) as machine:
        machine.run()
        assert [machine.vp.read(name) for name in ("rdi", "rsi", "rbx")] == [1, 0, 1]


def test_nmi_waits_for_what_is_injected_before_it() -> None:
    with SmallMachine("hlt", handlers={2: "inc edi; iretq", 0x21: "inc esi; iretq"}) as machine:
        machine.vp.inject(0x21, 0)
        machine.vp.request_nmi()
        machine.run()
        assert (machine.vp.read("rdi"), machine.vp.read("rsi")) == (1, 1)


def test_start_up_commands_do_nothing() -> None:
    with machine_of_four() as machine:
        for mode in (DeliveryMode.INIT, DeliveryMode.STARTUP, DeliveryMode.SMI):
            send(machine.vp, InterruptCommand(vector=VECTOR, delivery_mode=mode, shorthand=Shorthand.ALL))
        assert [vp.apic.requested for vp in machine.partition.vps] == [0] * 4


@pytest.mark.parametrize("lps", [1, 2])
def test_guest_sends_an_interrupt_to_a_vp_that_sleeps(lps: int) -> None:
    write = f"mov ecx, {int(Msr.ICR)}; mov edx, 1 << 24; mov eax, {VECTOR}; wrmsr; hlt"
    code = f"test esi, esi; jz 1f; sti; hlt; inc ebx; cli; hlt; 1: {write}"
    with SmallMachine(code, vps=2, lps=lps, handlers={VECTOR: "iretq"}) as machine:
        machine.partition.vps[1].write("rsi", 1)
        machine.run()
        assert machine.partition.vps[1].read("rbx") == 1
