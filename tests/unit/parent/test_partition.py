"""The parent partition: it boots, waits, wakes by its doorbell, and a kernel that ends is a bug."""

import pytest
from parent_machines import CHILD_BYTES, FINISH, assembled, booted, needs_calls

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.parent.gate import GateCode
from minihv.parent.orders import Hypercall, Steps
from minihv.parent.partition import KERNEL_BYTES
from minihv.spec.hypercalls import CallCode
from minihv.terms import MIB

pytestmark = needs_calls


def one_call() -> Steps:
    answer = yield Hypercall(CallCode.GET_PARTITION_ID, output_bytes=8)
    return int.from_bytes(answer.output, "little")


def test_parent_is_partition_1_and_waits() -> None:
    with booted() as parent:
        assert parent.partition.id == 1 and parent.vp.state is VpState.IDLE
        assert {code: n for code, n in parent.gate.calls.items() if n} == {GateCode.HELLO: 1}


def test_kernel_keeps_little_of_its_memory() -> None:
    with booted() as parent:
        assert parent.partition.gpa_space.ram_bytes - parent.vid.free_bytes <= KERNEL_BYTES


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize("core", list(Core))
def test_doorbell_wakes_the_parent_with_either_core_and_any_paging(core: Core, mode: PagingMode) -> None:
    with booted(paging=mode, core=core) as parent:
        job = parent.orders.submit("ask", one_call())
        assert parent.vp.state is not VpState.IDLE or parent.vp.control.virtual_interrupt
        parent.settle()
        assert job.value == 1 and parent.vp.state is VpState.IDLE
        assert parent.vp.counters.interrupts == 1


def test_child_is_created_by_hypercalls_that_the_parent_executes() -> None:
    with booted() as parent:
        child = parent.create_child("small", CHILD_BYTES, image=assembled(FINISH), start=False)
        assert (child.id, child.name, child.partition.parent_id, child.partition.name) == (
            2,
            "small",
            1,
            "small",
        )
        calls = parent.vp.counters.hypercalls
        assert (calls[CallCode.CREATE_PARTITION], calls[CallCode.INITIALIZE_PARTITION]) == (1, 1)
        assert calls[CallCode.CREATE_VP] == 1 and calls[CallCode.MAP_GPA_PAGES] == 3
        assert child.partition.vps[0].state is VpState.SUSPENDED and not child.is_started


def test_child_runs_when_it_is_started() -> None:
    with booted() as parent:
        child = parent.create_child("small", CHILD_BYTES, image=assembled(FINISH), start=False)
        parent.start_child(child)
        parent.settle()
        assert child.partition.exit_status == 0 and child.is_started


def test_child_without_an_image_has_nothing_to_run() -> None:
    with booted() as parent:
        child = parent.create_child("empty", CHILD_BYTES, start=False)
        assert child.memory.read(0, 16) == bytes(16)
        parent.delete_child(child)
        assert list(parent.hypervisor.partitions) == [1] and parent.children == {}


def test_machine_has_room_for_what_it_was_sized_for() -> None:
    sizes = [2 * MIB, 6 * MIB, 4 * MIB + 4096]
    with booted(*sizes) as parent:
        children = [parent.create_child(f"of {size}", size, start=False) for size in sizes]
        assert [child.partition.gpa_space.ram_bytes for child in children] == sizes


@pytest.mark.parametrize(("memory_bytes", "vps"), [(4095, 1), (CHILD_BYTES, 0)])
def test_child_that_cannot_be_is_refused_before_anything_is_made(memory_bytes: int, vps: int) -> None:
    with booted() as parent:
        with pytest.raises(ConfigurationError):
            parent.create_child("absurd", memory_bytes, vps)
        assert parent.orders.made == {}


def test_parent_that_does_not_get_a_job_done_is_a_bug() -> None:
    with booted() as parent:
        parent.vp.state = VpState.SUSPENDED
        with pytest.raises(InternalError) as raised:
            parent.create_child("never", CHILD_BYTES)
    assert str(raised.value) == "The parent has stopped in the middle of 'create never': please report it."


def test_parent_that_has_ended_is_a_bug() -> None:
    with booted() as parent:
        parent.partition.console.extend(b"The kernel said this.\n")
        parent.partition.shut_down(3, "the guest wrote to the shutdown port")
        with pytest.raises(InternalError) as raised:
            parent.settle()
    assert str(raised.value) == (
        "The kernel of the parent partition has ended (The kernel said this.): please report it."
    )
