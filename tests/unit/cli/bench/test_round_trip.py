"""The row of the round trip measures two whole machines."""

import pytest
from parent_machines import NEEDS_COMPILER, needs_calls

from minihv.cli.bench import round_trip
from minihv.cli.bench.rows import Effort
from minihv.errors import InternalError
from minihv.parent.session import ParentSession

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]


def test_row_has_both_sides_and_its_goal() -> None:
    found = round_trip.round_trip(Effort(rounds=1, scale=0.05))
    assert (found.name, found.unit, found.goal) == ("ring.round-trip", "us", "value <= 100")
    assert min(found.value, found.against_value) > 0


def test_as_many_packets_go_round_as_are_divided_by() -> None:
    with ParentSession(round_trip.GUEST, memory_bytes=round_trip.CHILD_BYTES) as session:
        session.parent.begin(session.child)
        round_trip.reach(session, "echo_round_trip")
        before = session.parent.vmbus.buses[session.child.id]
        echo = next(service for service in before.services.values() if service.name == "echo")
        round_trip.reach(session, "echo_sink")
        assert echo.received_packets == round_trip.PACKETS


def test_function_that_is_never_entered_is_told() -> None:
    with ParentSession(round_trip.GUEST, memory_bytes=round_trip.CHILD_BYTES) as session:
        session.image.symbols["never"] = session.image.end  # type: ignore[index]
        session.parent.begin(session.child)
        with pytest.raises(InternalError) as told:
            round_trip.reach(session, "never")
    assert str(told.value) == "20_echo ended before it entered never: please report it."
