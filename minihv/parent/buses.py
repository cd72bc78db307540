"""The buses of children: what each is offered, what its services want, and what time it is for them.

Stands for: what VMBus in the parent and VMBus in a monolithic ring -1 have in common.
Spec: ``minihv.spec.vmbus``.
Next: ``minihv.parent.vmbus_service``, ``minihv.parent.monolith``
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from minihv.devices.synthetic.service import Service
from minihv.devices.synthetic.shutdown import Shutdown, ShutdownAnswer, ShutdownOutcome
from minihv.parent.children import Child
from minihv.parent.orders import Job
from minihv.spec.vmbus import PipeMode
from minihv.vmbus.actions import Trace
from minihv.vmbus.offers import Offer
from minihv.vmbus.server import VmbusServer

MOST_TRACES = 1000
"""Of one child; those of a flood are only counted."""


@dataclass
class ChildBus:
    """The bus of one child: its server, its services, and the flags that its channels have in the parent."""

    child: Child
    server: VmbusServer
    services: dict[int, Service] = field(default_factory=dict)
    """By the relid of their channel."""
    flags: dict[int, int] = field(default_factory=dict)
    """By relid: which event flag of the parent says that the channel was signalled."""
    traces: list[Trace] = field(default_factory=list)
    traced: int = 0
    """Rules that the child broke."""
    refused: int = 0
    """Messages and signals that it could not take."""
    tries: int = 0
    """How often the message that is next found no buffer."""
    retry_at: int | None = None
    pump: Job | None = None
    """What does the actions now."""
    is_closed: bool = False

    @property
    def must_wait(self) -> bool:
        """Whether nothing can be done for the child now."""
        return self.tries > 0 or (self.pump is not None and not self.pump.is_done)

    def try_again(self) -> None:
        """The child did something, or time has passed: its message may find a buffer."""
        self.tries, self.retry_at = 0, None

    @property
    def due_100ns(self) -> int | None:
        """When something depends on time; nothing does for a child that has stopped."""
        if self.is_closed or self.child.partition.has_stopped:
            return None
        times = [service.due_100ns for service in self.services.values()]
        return min((time for time in (*times, self.retry_at) if time is not None), default=None)


class Buses(ABC):
    """The buses of all children, by id. ``now`` is the time in units of 100 ns."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.buses: dict[int, ChildBus] = {}
        self._now = now

    @abstractmethod
    def drain(self, bus: ChildBus) -> None:
        """What the server of ``bus`` wants done is done, or on its way."""

    def offer(self, bus: ChildBus, service: Service) -> int:
        """Offers a service to a child; the relid of its channel."""
        if service.pipe_mode:
            offer = Offer.pipe(service.interface, service.instance, PipeMode.MESSAGE)
        else:
            offer = Offer(service.interface, service.instance, sub_channel=service.sub_channel)
        relid = bus.server.offer(offer, service)
        bus.services[relid] = service
        return relid

    def attend(self, bus: ChildBus) -> None:
        """A service of ``bus`` was told something from outside; what it wants is on its way.

        Channels that it has besides its first are offered, and those that it has no more are taken back.
        """
        for relid, service in list(bus.services.items()):
            if not service.offers_changed:
                continue
            service.offers_changed = False
            known = {id(one) for one in bus.services.values()}
            for one in service.sub_channels:
                if id(one) not in known:
                    one.before = service.before
                    self.offer(bus, one)
            self._take_back(bus, service, relid)
        self.drain(bus)

    def _take_back(self, bus: ChildBus, service: Service, relid: int) -> None:
        """Sub-channels of ``service`` that are not in its list any more are rescinded."""
        kept = {id(service), *map(id, service.sub_channels)}
        for number, one in list(bus.services.items()):
            if number != relid and one.instance == service.instance and id(one) not in kept:
                bus.server.rescind(number)

    def shut_down(self, bus: ChildBus, reason: str, *, restart: bool = False) -> ShutdownAnswer:
        """Asks the guest behind ``bus`` to end itself; what has come of it so far."""
        service = next((one for one in bus.services.values() if isinstance(one, Shutdown)), None)
        if service is None:
            return ShutdownAnswer(ShutdownOutcome.NO_CONTACT)
        self._tell_time(bus, [service])
        answer = service.request(reason, restart=restart)
        self.drain(bus)
        return answer

    def _tell_time(self, bus: ChildBus, services: Iterable[Service]) -> None:
        now = self._now()
        for service in list(services):
            service.tick(now)

    def _note(self, bus: ChildBus, trace: Trace) -> None:
        bus.traced += 1
        if len(bus.traces) < MOST_TRACES:
            bus.traces.append(trace)
