"""What every child is offered: each service once, and none of them shared with another child."""

from parent_machines import CHILD_BYTES, booted, needs_calls

from minihv.parent.offers import standard_services

pytestmark = needs_calls


def test_every_child_is_offered_the_same_six_services_of_its_own() -> None:
    with booted(CHILD_BYTES, CHILD_BYTES) as parent:
        children = [parent.create_child(name, CHILD_BYTES, start=False) for name in ("one", "two")]
        first, second = (list(parent.bus_of(child).services.values()) for child in children)
        names = ["heartbeat", "shutdown", "time sync", "key-value exchange", "console", "echo"]
        assert [service.name for service in first] == [service.name for service in second] == names
        assert not {id(service) for service in first} & {id(service) for service in second}


def test_text_of_the_console_channel_joins_that_of_the_debug_port() -> None:
    with booted() as parent:
        child = parent.create_child("one", CHILD_BYTES, start=False)
        console = next(service for service in standard_services(child) if service.name == "console")
        console._sink(b"text")  # type: ignore[attr-defined]
        assert child.partition.console == b"text"
