"""A monolithic ring -1 answers intercepts and VMBus itself, and keeps what a guest does not take."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from parent_machines import CHILD_BYTES, ECHO, NEEDS_COMPILER, assembled, compiled

from minihv.guests.image import Image
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.ports import Ports
from minihv.hypervisor.states import VpState
from minihv.parent.children import Child
from minihv.parent.monolith import Models, Monolith
from minihv.parent.vmbus_service import MOST_TRIES
from minihv.spec.synic import BUFFERS_OF_PORT, MessageType
from minihv.vmbus.actions import Post

FINISH = "; mov al, 0; out 0xF4, al; 1: hlt; jmp 1b"


@contextmanager
def child_of(*images: Image) -> Iterator[tuple[Monolith, list[Child]]]:
    with Hypervisor(machine_bytes(CHILD_BYTES, len(images))) as hypervisor:
        monolith = Monolith(hypervisor)
        yield (
            monolith,
            [monolith.create_child(f"child {n}", CHILD_BYTES, 1, one) for n, one in enumerate(images)],
        )


def models(child: Child) -> Models:
    assert isinstance(child.partition.models, Models)
    return child.partition.models


def test_port_without_a_chip_reads_all_ones_in_one_turn() -> None:
    code = "in al, 0x80; cmp al, 0xFF; setne al; out 0xF4, al; 1: hlt; jmp 1b"
    with child_of(assembled(code)) as (monolith, (child,)):
        monolith.hypervisor.run()
        assert child.partition.exit_status == 0
        assert models(child).answered == {MessageType.IO_PORT_INTERCEPT: 1}
        assert child.partition.vps[0].counters.world_switches == 1


def test_unknown_msr_raises_gp_in_the_guest() -> None:
    with child_of(assembled("lidt [0x9000]; mov ecx, 0xC0001234; rdmsr" + FINISH)) as (monolith, (child,)):
        monolith.hypervisor.run()
        assert models(child).answered[MessageType.MSR_INTERCEPT] == 1
        assert child.stopped == "triple_fault"


def test_vp_that_cannot_go_on_stays_suspended_with_the_reason_of_a_worker() -> None:
    with child_of(assembled("lidt [0x9000]; ud2")) as (monolith, (child,)):
        monolith.hypervisor.run()
        vp = child.partition.vps[0]
        assert vp.state is VpState.SUSPENDED and child.stopped == "triple_fault"
        assert vp.why == child.why
        assert child.why.startswith("VP 0 met a third fault on its way to the double-fault handler at RIP ")


@pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")
def test_children_have_a_bus_each() -> None:
    with child_of(compiled(ECHO), compiled(ECHO)) as (monolith, children):
        monolith.hypervisor.run()
        assert [child.partition.exit_status for child in children] == [0, 0]
        received = [
            sum(service.received_packets for service in monolith.buses[child.id].services.values())
            for child in children
        ]
        assert received == [1, 1]


def test_messages_beyond_the_buffers_wait_and_are_tried_less_and_less_often() -> None:
    with child_of(assembled("1: hlt; jmp 1b")) as (monolith, (child,)):
        synic, bus = child.partition.vps[0].synic, monolith.buses[child.id]
        synic.control = 1  # enabled, and no page for messages
        for number in range(BUFFERS_OF_PORT + 3):
            bus.server.actions.append(Post(0, bytes([number])))
        monolith.drain(bus)
        assert len(bus.server.actions) == 3 and bus.must_wait and bus.retry_at is not None
        for _ in range(MOST_TRIES):
            monolith._act(bus)
        assert bus.retry_at is None and len(bus.server.actions) == 3


def test_connection_leads_to_ring_minus_1_and_to_no_port_that_can_be_found() -> None:
    with child_of(assembled("1: hlt; jmp 1b")) as (monolith, (child,)):
        ports: Ports = monolith.hypervisor.ports
        assert ports.find(child.id, child.id) is None
        sender = child.partition.vps[0]
        assert ports.post(sender, 1, 1, b"\xff" * 8).name == "SUCCESS"
        assert monolith.buses[child.id].traced == 1
