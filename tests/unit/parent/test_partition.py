"""The parent partition: it boots, waits, wakes by its doorbell, and a kernel that ends is a bug."""

import pytest
from parents import PARENT_BYTES, booted

from minihv.errors import InternalError
from minihv.hypervisor.vp import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.parent.gate import GateCode
from minihv.parent.orders import Hypercall, Steps
from minihv.parent.partition import KERNEL_BYTES
from minihv.spec.hypercalls import CallCode


def one_call() -> Steps:
    answer = yield Hypercall(CallCode.GET_PARTITION_ID, output_bytes=8)
    return int.from_bytes(answer.output, "little")


def test_parent_is_partition_1_and_waits() -> None:
    with booted() as parent:
        assert parent.partition.id == 1 and parent.vp.state is VpState.IDLE
        assert {code: n for code, n in parent.gate.calls.items() if n} == {GateCode.HELLO: 1}


def test_kernel_keeps_little_of_its_memory() -> None:
    with booted() as parent:
        assert PARENT_BYTES - parent.vid.free_bytes <= KERNEL_BYTES


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize("core", list(Core))
def test_doorbell_wakes_the_parent_with_either_core_and_any_paging(core: Core, mode: PagingMode) -> None:
    with booted(paging=mode, core=core) as parent:
        job = parent.orders.submit("ask", one_call())
        assert parent.vp.state is not VpState.IDLE or parent.vp.control.virtual_interrupt
        parent.settle()
        assert job.value == 1 and parent.vp.state is VpState.IDLE
        assert parent.vp.counters.interrupts == 1


def test_line_of_the_log_is_kept() -> None:
    with booted() as parent:
        assert parent.log == []


def test_parent_that_has_ended_is_a_bug() -> None:
    with booted() as parent:
        parent.partition.console.extend(b"The kernel said this.\n")
        parent.partition.shut_down(3, "the guest wrote to the shutdown port")
        with pytest.raises(InternalError) as raised:
            parent.settle()
    assert str(raised.value) == (
        "The kernel of the parent partition has ended (The kernel said this.): please report it."
    )
