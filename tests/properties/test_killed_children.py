"""A child may be deleted at any moment: the others go on, and nothing of it is left anywhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from guest_images import built
from hypothesis import given, settings
from hypothesis import strategies as st
from parent_machines import CHILD_BYTES, FINISH, NEEDS_COMPILER, assembled, booted, echo_child

from minihv.errors import ConfigurationError
from minihv.guests.image import Image, load_image
from minihv.hypervisor import hypercalls
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.parent.children import Child
from minihv.parent.partition import ParentPartition
from minihv.spec.hypercalls import Status
from minihv.testing import Shares

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")

OTHERS_ROUNDS = 12
VICTIMS = ("20_echo", "21_integration", "22_hostile", "pokes", "crashes")
BEFORE_IT_CONNECTS, LATEST = 16_000, 250_000
"""In blocks of the machine; about when a victim is still alone, and when each has done all that is new."""
SHARES, OF_CREATION = Shares(), Shares()


def image(victim: str) -> Image:
    """What the child that is killed runs."""
    if victim == "pokes":  # its worker is in ring 3 much of the time
        return assembled(f"mov ecx, 200; 1: in al, 0x60; loop 1b; {FINISH}")
    if victim == "crashes":
        return assembled("mov ecx, 50; 1: in al, 0x60; loop 1b; ud2")
    return load_image(built() / f"{victim}.elf")


def footprint(parent: ParentPartition) -> dict[str, object]:
    """All that a child can leave behind."""
    hypervisor, ports = parent.hypervisor, parent.hypervisor.ports
    return {
        "frames": (hypervisor.memory.frames.free_count, hypervisor.memory.frames.owned_by(1)),
        "memory of the parent": parent.vid.free_bytes,
        "partitions": sorted(hypervisor.partitions),
        "children": (sorted(parent.children), sorted(parent.vmbus.buses)),
        "ports": (sorted(ports._ports), sorted(ports._connections)),
        "flags": sorted(parent.vmbus._by_flag),
        "alarms": hypervisor.alarms.next_due,
        "VPs": [vp.partition.id for vp in hypervisor.scheduler.queue],
    }


def doing(parent: ParentPartition, child: Child) -> str:
    """What the child was in the middle of."""
    vp, bus = child.partition.vps[0], parent.bus_of(child)
    if child.partition.has_stopped:
        return "ended"
    if vp.state is VpState.SUSPENDED:
        return "waiting for its worker" if child.is_started else "not started"
    if bus.server.agreement is None:
        return "not connected"
    opened = sum(channel.open is not None for channel in bus.server.channels)
    rest = "with orders on their way" if parent.orders.wait else "in peace"
    return f"connected, {'channels open' if opened else 'none open'}, {rest}"


@settings(max_examples=50)
@given(
    st.sampled_from(VICTIMS),
    st.sampled_from([BEFORE_IT_CONNECTS, LATEST]),
    st.integers(0, 1000),
    st.sampled_from(PagingMode),
    st.booleans(),
)
def test_child_killed_at_any_moment_leaves_nothing_and_harms_nobody(
    victim: str, latest: int, thousandths: int, paging: PagingMode, twice: bool
) -> None:
    with booted(CHILD_BYTES, CHILD_BYTES, paging=paging) as parent:
        empty = footprint(parent)
        other = echo_child(parent, "other", OTHERS_ROUNDS)
        alone = footprint(parent)
        for _ in range(1 + twice):
            child = parent.create_child("victim", CHILD_BYTES, image=image(victim), start=False)
            parent.begin(child)
            parent.hypervisor.run(latest * thousandths // 1000)
            SHARES.add(doing(parent, child))
            parent.delete_child(child)
        left = footprint(parent)
        assert {what for what in left if left[what] != alone[what]} <= {"alarms"}
        parent.begin(other)
        parent.settle()
        assert other.partition.exit_status == 0 and b"FAILED" not in other.partition.console
        assert parent.bus_of(other).traced == 0 and not parent.orders.refused
        parent.delete_child(other)
        parent.settle()
        assert footprint(parent) == empty


@contextmanager
def refusing(at: int, status: Status) -> Iterator[None]:
    """Ring -1 refuses one hypercall, number ``at`` from now on."""
    perform, numbers = hypercalls.perform, count()

    def answer(hypervisor: Any, vp: Any, value: Any) -> tuple[Status, int]:
        return (status, 0) if next(numbers) == at else perform(hypervisor, vp, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypercalls, "perform", answer)
        yield


@settings(max_examples=60)
@given(
    st.integers(0, 85),
    st.sampled_from([Status.ACCESS_DENIED, Status.INSUFFICIENT_MEMORY, Status.INVALID_PARAMETER]),
    st.integers(1, 2),
)
def test_creation_that_is_refused_at_any_step_leaves_nothing(at: int, status: Status, vps: int) -> None:
    with booted(CHILD_BYTES, CHILD_BYTES) as parent:
        empty = footprint(parent)
        try:
            with refusing(at, status):
                child = parent.create_child("half", CHILD_BYTES, vps, image("pokes"), start=False)
        except ConfigurationError as refused:
            OF_CREATION.add("refused")
            said = re.fullmatch(
                "A child cannot be made or changed as asked: Hv[A-Za-z]+ answers [a-z ]+\\.", str(refused)
            )
            assert said is not None
        else:
            OF_CREATION.add("created, with more memory for its pool")
            parent.begin(child)
            parent.settle()
            assert child.partition.exit_status == 0
            parent.delete_child(child)
        parent.settle()
        assert footprint(parent) == empty


def test_children_were_killed_in_the_middle_of_everything() -> None:
    SHARES.assert_floors({"waiting for its worker": 0.05, "channels open": 0.05, "not connected": 0.05})
    OF_CREATION.assert_floors({"refused": 0.3, "created": 0.1})
