"""The reference TSC page: where it lies, what it says, and that it agrees with the counter."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.msrs import read_msr, write_msr
from minihv.machine.frames import HYPERVISOR
from minihv.machine.processor import PagingMode
from minihv.spec.msrs import Msr
from minihv.terms import Gpa

READ_TIME = f"""
rdtsc; shl rdx, 32; or rax, rdx; mul qword ptr [0x103008]; add rdx, [0x103010]; mov rbx, rdx
mov ecx, {int(Msr.TIME_REF_COUNT)}; rdmsr; mov esi, eax; mov edi, [0x103000]; hlt
"""


@pytest.mark.parametrize("mode", list(PagingMode))
def test_page_and_counter_agree(mode: PagingMode) -> None:
    spin = "mov ecx, 12345; 1: dec ecx; jnz 1b;"
    with SmallMachine(spin + READ_TIME, paging=mode) as machine:
        assert write_msr(machine.vp, Msr.REFERENCE_TSC, 0x10_3001)
        machine.run(100_000)
        assert machine.vp.read("rdi") == 1
        assert 0 <= machine.vp.read("rsi") - machine.vp.read("rbx") <= 1
        assert machine.vp.read("rbx") >= 12345 * 4 // 100


def test_time_of_a_later_partition_begins_near_zero() -> None:
    with SmallMachine("mov ecx, 50000; 1: dec ecx; jnz 1b; hlt", partitions=2) as machine:
        machine.run(100_000)
        vp = machine.add_partition("later", READ_TIME).vps[0]
        assert write_msr(vp, Msr.REFERENCE_TSC, 0x10_3001)
        machine.run()
        assert vp.read("rbx") == vp.read("rsi") == 0


def test_page_is_invalid_while_a_vp_has_a_tsc_of_its_own() -> None:
    with SmallMachine(READ_TIME) as machine:
        write_msr(machine.vp, Msr.REFERENCE_TSC, 0x10_3001)
        write_msr(machine.vp, Msr.TSC, 1 << 40)
        machine.run()
        assert machine.vp.read("rdi") == 0


def test_register_keeps_what_was_written_and_the_page_goes_with_its_bit() -> None:
    with SmallMachine() as machine:
        assert write_msr(machine.vp, Msr.REFERENCE_TSC, 0x10_3FF1)
        assert read_msr(machine.vp, Msr.REFERENCE_TSC) == 0x10_3FF1
        assert write_msr(machine.vp, Msr.REFERENCE_TSC, 0x10_3FF0)
        assert machine.partition.gpa_space.overlays == ()


def test_page_moves_and_there_is_one_at_most() -> None:
    with SmallMachine() as machine:
        for page in (0x10_3001, 0x10_4001):
            assert write_msr(machine.vp, Msr.REFERENCE_TSC, page)
        assert [overlay.gpa for overlay in machine.partition.gpa_space.overlays] == [0x10_4000]


def test_page_outside_memory_or_over_another_overlay_is_refused() -> None:
    with SmallMachine() as machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        for value in (0x10_3001, 1 << 40 | 1):
            assert not write_msr(machine.vp, Msr.REFERENCE_TSC, value)
        assert read_msr(machine.vp, Msr.REFERENCE_TSC) == 0


def test_page_that_no_frame_is_left_for_is_refused() -> None:
    with SmallMachine() as machine:
        frames = machine.hypervisor.memory.frames
        while frames.free_count:
            frames.allocate(HYPERVISOR)
        assert not write_msr(machine.vp, Msr.REFERENCE_TSC, 0x10_3001)


def test_frame_of_the_page_is_given_back() -> None:
    with SmallMachine(partitions=2) as machine:
        before = machine.hypervisor.memory.frames.free_count
        other = machine.add_partition("other", "hlt")
        write_msr(other.vps[0], Msr.REFERENCE_TSC, 0x10_3001)
        machine.hypervisor.delete_partition(other.id)
        assert machine.hypervisor.memory.frames.free_count == before
