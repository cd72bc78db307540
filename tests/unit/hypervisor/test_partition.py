"""The life of a partition: created, stopped by itself or by a triple fault, deleted while others run."""

import pytest
from machines import CODE, SmallMachine

from minihv.hypervisor.partition import HYPERCALL_PAGE_CODE, Partition
from minihv.hypervisor.privileges import CHILD
from minihv.hypervisor.states import VpState
from minihv.machine.frames import HYPERVISOR
from minihv.terms import MIB, PAGE_BYTES, Gpa

SPIN = "spin: inc rbx; jmp spin"
STOP = "mov al, 7; out 0xF4, al; mov ebx, 1; hlt"
TRIPLE_FAULT = "lidt [rsp]; ud2"
PAGE = Gpa(0x10_3000)


def hypercall_page(machine: SmallMachine) -> bytes:
    """What the guest would read there."""
    overlay = machine.partition.gpa_space.overlay_at(PAGE)
    assert overlay is not None and overlay.what == "hypercall page"
    return machine.hypervisor.memory.read(overlay.spa, PAGE_BYTES)


def states(partition: Partition) -> list[VpState]:
    return [vp.state for vp in partition.vps]


def test_new_partition_is_nobodys_child_and_has_said_nothing() -> None:
    with SmallMachine() as machine:
        made = machine.partition
        assert (made.id, made.name, made.parent_id, made.privileges) == (1, "small", 0, CHILD)
        assert (made.console, made.exit_status, made.why, made.guest_os_id) == (b"", None, "", 0)
        assert not made.is_shut_down and not made.has_stopped


def test_partition_that_shuts_itself_down_gives_the_status_it_wrote() -> None:
    with SmallMachine(STOP) as machine:
        machine.run()
        assert machine.partition.is_shut_down and machine.partition.has_stopped
        assert machine.partition.exit_status == 7
        assert machine.partition.why == "the guest wrote to the shutdown port"


def test_shutdown_comes_before_the_next_instruction_of_any_vp() -> None:
    with SmallMachine(STOP, vps=3, lps=2) as machine:
        machine.run()
        assert [vp.read("rbx") for vp in machine.partition.vps] == [0, 0, 0]
        assert [vp.counters.exits[0x7B] for vp in machine.partition.vps] == [1, 0, 0]


@pytest.mark.parametrize("lps", [1, 2])
def test_triple_fault_of_one_vp_stops_all_of_its_partition(lps: int) -> None:
    with SmallMachine(f"test esi, esi; jnz fault; {SPIN}; fault: {TRIPLE_FAULT}", vps=2, lps=lps) as machine:
        machine.partition.vps[1].write("rsi", 1)
        machine.run(1 << 20)
        turns_of_the_other = machine.vp.counters.blocks
        assert states(machine.partition) == [VpState.READY, VpState.TRIPLE_FAULT]
        assert machine.partition.has_stopped and not machine.partition.is_shut_down
        assert machine.run(1 << 20) == 0 and machine.vp.counters.blocks == turns_of_the_other


def test_two_partitions_have_ids_memory_and_consoles_of_their_own() -> None:
    say = "mov al, '{}'; out 0xE9, al; mov [0x8000], al; hlt"
    with SmallMachine(say.format("a"), partitions=2) as machine:
        other = machine.add_partition("other", say.format("b"))
        machine.run()
        assert (machine.partition.id, other.id) == (1, 2)
        assert (machine.partition.console, other.console) == (b"a", b"b")
        assert (machine.read(0x8000, 1), other.gpa_space.read(0x8000, 1)) == (ord("a"), b"b")


def test_partition_that_stops_leaves_the_others_running() -> None:
    with SmallMachine(STOP, partitions=3) as machine:
        fallen, spinning = machine.add_partition("b", TRIPLE_FAULT), machine.add_partition("c", SPIN)
        assert machine.run(1 << 20) == 1 << 20
        assert machine.partition.has_stopped and fallen.has_stopped and not spinning.has_stopped


def test_partition_is_deleted_while_another_goes_on() -> None:
    with SmallMachine(SPIN, partitions=2) as machine:
        other = machine.add_partition("other", SPIN)
        machine.run(100_000)
        before = other.vps[0].read("rbx")
        machine.hypervisor.delete_partition(machine.partition.id)
        machine.hypervisor.run(100_000)
        assert list(machine.hypervisor.partitions) == [2]
        assert other.vps[0].read("rbx") == before + 100_000


def test_partition_that_takes_the_place_of_a_deleted_one_has_zeroed_memory_and_a_new_id() -> None:
    with SmallMachine("mov qword ptr [0x8000], -1; hlt") as machine:
        machine.run()
        machine.hypervisor.delete_partition(1)
        follower = machine.add_partition("follower", "hlt")
        assert follower.id == 2 and follower.gpa_space.read(0x8000, 8) == bytes(8)


def test_deleted_partition_leaves_no_frame_behind() -> None:
    with SmallMachine(partitions=2) as machine:
        frames = machine.hypervisor.memory.frames
        before = frames.free_count
        other = machine.add_partition("other", "hlt")
        other.set_hypercall_page(PAGE)
        machine.hypervisor.delete_partition(other.id)
        assert frames.free_count == before and frames.owned_by(other.id) == 0


def test_hypercall_page_traps_and_returns_and_is_zero_behind() -> None:
    with SmallMachine() as machine:
        machine.partition.set_hypercall_page(PAGE)
        assert hypercall_page(machine) == HYPERCALL_PAGE_CODE.ljust(PAGE_BYTES, b"\0")
        assert HYPERCALL_PAGE_CODE == b"\x0f\x01\xd9\xc3"


def test_hypercall_page_moves_and_goes_with_one_frame_only() -> None:
    with SmallMachine() as machine:
        partition, frames = machine.partition, machine.hypervisor.memory.frames
        partition.set_hypercall_page(Gpa(0x10_4000))
        owned = frames.owned_by(HYPERVISOR)
        partition.set_hypercall_page(PAGE)
        assert partition.gpa_space.overlay_at(0x10_4000) is None and hypercall_page(machine)
        partition.set_hypercall_page(None)
        assert partition.gpa_space.overlay_at(PAGE) is None and partition.hypercall_page is None
        assert frames.owned_by(HYPERVISOR) == owned


def test_core_answers_hypercalls_only_while_there_is_a_page() -> None:
    with SmallMachine(vps=2) as machine:
        machine.partition.set_hypercall_page(PAGE)
        assert all(vp.handle.hypercalls_enabled for vp in machine.partition.vps)
        machine.partition.set_hypercall_page(None)
        assert not any(vp.handle.hypercalls_enabled for vp in machine.partition.vps)


@pytest.mark.parametrize("mebibytes", [1, 2, 3])
def test_partition_has_the_memory_it_was_given(mebibytes: int) -> None:
    with SmallMachine(partitions=3) as machine:
        made = machine.hypervisor.create_partition("sized", mebibytes * MIB)
        assert made.gpa_space.ram_bytes == mebibytes * MIB
        assert machine.hypervisor.memory.frames.owned_by(made.id) == mebibytes * 256


def test_vp_stands_where_it_shut_its_partition_down() -> None:
    with SmallMachine(STOP) as machine:
        machine.run()
        assert machine.vp.read("rip") == CODE + 4 and machine.vp.state is VpState.READY


def test_children_do_not_outlive_their_parent() -> None:
    with SmallMachine(STOP, partitions=2) as machine:
        child = machine.add_partition("child", SPIN)
        child.parent_id = machine.partition.id
        machine.run()
        assert child.has_crashed and child.why == (
            "partition 1, its parent, has ended: the guest wrote to the shutdown port"
        )
        assert not machine.partition.has_crashed
