"""The parent and its children as whole machines: what they say, what it costs, and what is left behind."""

from collections import Counter

import pytest
from parent_machines import (
    CHILD_BYTES,
    FINISH,
    NEEDS_COMPILER,
    assembled,
    booted,
    echo_child,
    exits_of,
    needs_calls,
)

from minihv.errors import ConfigurationError
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.parent.children import Child
from minihv.parent.gate import GateCode
from minihv.parent.partition import ParentPartition
from minihv.spec.svm_exits import SvmExit
from minihv.spec.synic import MessageType
from minihv.terms import PAGE_BYTES

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]


def finished(child: Child) -> bool:
    return child.partition.exit_status == 0 and b"FAILED" not in child.partition.console


def owned(parent: ParentPartition) -> tuple[int, int, int]:
    """Frames of the machine that are free, those of the parent, and what its VID has left."""
    frames = parent.hypervisor.memory.frames
    return frames.free_count, frames.owned_by(1), parent.vid.free_bytes


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize("core", list(Core))
def test_child_talks_to_its_parent_with_either_core_and_any_paging(core: Core, mode: PagingMode) -> None:
    with booted(core=core, paging=mode) as parent:
        child = echo_child(parent, "echo", 3)
        parent.begin(child)
        parent.settle()
        assert finished(child), child.partition.console.decode()
        assert parent.vp.state is VpState.IDLE and not parent.orders.refused


def costs(rounds: int) -> tuple[Counter[int], Counter[int], Counter[int]]:
    """Exits of the child, of the parent, and calls of the gate, with so many round trips."""
    with booted() as parent:
        child = echo_child(parent, "echo", rounds)
        parent.begin(child)
        parent.settle()
        assert finished(child)
        return (
            Counter(exits_of(child.partition)),
            Counter(exits_of(parent.partition)),
            Counter({int(code): count for code, count in parent.gate.calls.items()}),
        )


def test_round_trip_costs_five_exits() -> None:
    fewer, more = costs(20), costs(30)
    child, parent, gate = (after - before for before, after in zip(fewer, more, strict=True))
    assert child - Counter({int(SvmExit.IOIO): 2}) == {SvmExit.VMMCALL: 10, SvmExit.HLT: 10}
    assert parent == {SvmExit.VMMCALL: 20, SvmExit.HLT: 10}
    assert gate == {GateCode.CHANNEL_EVENT: 10}


def test_port_without_a_chip_costs_an_intercept_and_three_exits_of_the_parent() -> None:
    with booted() as parent:
        code = f"mov ecx, 10; 1: in al, 0x80; cmp al, 0xFF; jne 2f; loop 1b; {FINISH}; 2: hlt"
        child = parent.create_child("pokes", CHILD_BYTES, image=assembled(code), start=False)
        before = Counter(exits_of(parent.partition))
        parent.begin(child)
        parent.settle()
        assert child.partition.exit_status == 0 and child.partition.vps[0].counters.exits[SvmExit.IOIO] == 11
        assert parent.workers.answered == {MessageType.IO_PORT_INTERCEPT: 10}
        starting = Counter({int(SvmExit.VMMCALL): 3, int(SvmExit.HLT): 1})
        assert Counter(exits_of(parent.partition)) - before - starting == {
            SvmExit.VMMCALL: 20,
            SvmExit.HLT: 10,
        }


def test_unknown_msr_is_answered_by_the_worker_with_a_general_protection() -> None:
    with booted() as parent:
        child = parent.create_child("msr", CHILD_BYTES, image=assembled(f"mov ecx, 0x12345; rdmsr; {FINISH}"))
        parent.settle()
        assert parent.workers.answered == {
            MessageType.MSR_INTERCEPT: 1,
            MessageType.UNRECOVERABLE_EXCEPTION: 1,  # it has no handlers
        }
        assert child.stopped == "triple_fault"
        assert child.why == "VP 0 met a third fault on its way to the double-fault handler at RIP 0x100005"


def test_child_that_meets_no_memory_cannot_go_on_and_the_parent_does() -> None:
    odd = CHILD_BYTES + PAGE_BYTES  # its last page of 2 MiB reaches beyond its memory
    with booted(odd, CHILD_BYTES) as parent:
        lost = parent.create_child("lost", odd, image=assembled("mov eax, 0x401000; jmp rax"))
        other = echo_child(parent, "other", 3)
        parent.begin(other)
        parent.settle()
        assert lost.why == "VP 0 fetched from GPA 0x401000, where nothing answers"
        assert finished(other)


def test_several_children_talk_at_once() -> None:
    with booted(*[CHILD_BYTES] * 4) as parent:
        children = [echo_child(parent, f"echo {number}", 20 + number) for number in range(4)]
        for child in children:
            parent.begin(child)
        parent.settle()
        assert all(finished(child) for child in children)
        assert [parent.bus_of(child).refused for child in children] == [0] * 4


@pytest.mark.parametrize("vps", [1, 2])
def test_every_page_comes_back_when_a_child_is_deleted(vps: int) -> None:
    with booted() as parent:
        before = owned(parent)
        for _ in range(3):
            child = echo_child(parent, "echo", 2, vps=vps)
            parent.begin(child)
            parent.settle()
            assert finished(child)
            parent.delete_child(child)
            assert owned(parent) == before
            assert list(parent.hypervisor.partitions) == [1] and not parent.vmbus.buses


@pytest.mark.parametrize("blocks", [1, 700, 1500, 2500, 4000, 6000, 9000, 13_000, 40_000])
def test_child_that_is_killed_at_any_point_leaves_the_others_running(blocks: int) -> None:
    with booted(CHILD_BYTES, CHILD_BYTES) as parent:
        before = owned(parent)
        victim = echo_child(parent, "victim", 5, forever=True)
        other = echo_child(parent, "other", 40)
        parent.begin(victim)
        parent.begin(other)
        parent.hypervisor.run(blocks)
        parent.delete_child(victim)
        parent.settle()
        assert finished(other)
        parent.delete_child(other)
        assert owned(parent) == before


def test_child_that_cannot_be_made_leaves_nothing_behind() -> None:
    with booted() as parent:
        before = owned(parent)
        with pytest.raises(ConfigurationError) as refused:
            parent.create_child("large", 1 << 30)
        assert str(refused.value) == (
            f"The parent has {before[2] >> 20} MiB left for children, and 1024 MiB are asked for: give it "
            "more memory, or its children less."
        )
        assert owned(parent) == before and list(parent.hypervisor.partitions) == [1]
