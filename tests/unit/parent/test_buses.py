"""What the buses of both architectures share: offers, the shutdown of a guest, and how much is noted."""

from parent_machines import CHILD_BYTES, assembled

from minihv.devices.synthetic.shutdown import ShutdownOutcome
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.parent.buses import MOST_TRACES
from minihv.parent.monolith import Monolith
from minihv.vmbus.actions import Trace
from minihv.vmbus.rules import Rule


def test_every_child_is_offered_the_standard_services() -> None:
    with Hypervisor(machine_bytes(CHILD_BYTES)) as hypervisor:
        monolith = Monolith(hypervisor)
        child = monolith.create_child("a", CHILD_BYTES, 1, assembled("1: hlt; jmp 1b"))
        names = {service.name for service in monolith.buses[child.id].services.values()}
        assert names == {"heartbeat", "shutdown", "time sync", "key-value exchange", "console", "echo"}


def test_guest_that_has_not_opened_the_service_cannot_be_asked_to_shut_down() -> None:
    with Hypervisor(machine_bytes(CHILD_BYTES)) as hypervisor:
        monolith = Monolith(hypervisor)
        child = monolith.create_child("a", CHILD_BYTES, 1, assembled("1: hlt; jmp 1b"))
        answer = monolith.shut_down(monolith.buses[child.id], "The time is over.")
        assert answer.outcome is ShutdownOutcome.NO_CONTACT


def test_broken_rules_of_a_flood_are_counted_and_not_kept() -> None:
    with Hypervisor(machine_bytes(CHILD_BYTES)) as hypervisor:
        monolith = Monolith(hypervisor)
        bus = monolith.buses[monolith.create_child("a", CHILD_BYTES).id]
        for _ in range(MOST_TRACES + 5):
            monolith._note(bus, Trace(next(iter(Rule)), "no"))
        assert (bus.traced, len(bus.traces)) == (MOST_TRACES + 5, MOST_TRACES)
