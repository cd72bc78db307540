"""A host for one guest, played by the test: the VMBus server and its services, without a parent partition.

What the guest posts and signals is answered before its hypercall returns, so a run is short and every exit is
the guest's own.
"""

from collections.abc import Callable, Sequence

from minihv.devices.synthetic.console import Console
from minihv.devices.synthetic.echo import Echo
from minihv.devices.synthetic.heartbeat import Heartbeat
from minihv.devices.synthetic.kvp import Kvp
from minihv.devices.synthetic.service import SECOND, Service
from minihv.devices.synthetic.shutdown import Shutdown
from minihv.devices.synthetic.time_sync import TimeSync
from minihv.guests.session import GuestSession
from minihv.hypervisor.synic import Message
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.clock import blocks_until, reference_time
from minihv.spec.hypercalls import Status
from minihv.terms import PAGE_BYTES, PAGE_SHIFT
from minihv.vmbus.actions import Post, SignalChannel, Trace
from minihv.vmbus.offers import Offer
from minihv.vmbus.pages import RingPages
from minihv.vmbus.server import VmbusServer

CONNECTIONS, CHANNEL_CONNECTION, VMBUS_SINT = (1, 4), 0x2000, 2
MOST_GPN = 1 << 40


class PlayedRam:
    """The guest's RAM, for the server."""

    def __init__(self, session: GuestSession) -> None:
        self.space, self.memory = session.partition.gpa_space, session.hypervisor.memory

    def is_ram(self, gpn: int) -> bool:
        return 0 <= gpn < MOST_GPN and self.space.is_backed(gpn << PAGE_SHIFT, PAGE_BYTES, writable=True)

    def read(self, gpa: int, byte_count: int) -> bytes:
        return self.space.read(gpa, byte_count)

    def write(self, gpa: int, data: bytes) -> None:
        self.space.write(gpa, data)

    def ring(self, gpns: Sequence[int]) -> RingPages:
        spas = [int(self.space.spa_of(gpn << PAGE_SHIFT) or 0) for gpn in gpns]

        def written(spa: int, byte_count: int) -> None:
            self.memory.write(spa, self.memory.read(spa, byte_count))

        return RingPages(self.memory.view, spas, written)


class PlayedHost:
    """Takes the place of the machine's ports: all that the guest of ``session`` says goes to the server."""

    def __init__(self, session: GuestSession) -> None:
        self.session = session
        self.partition = session.partition
        self.server = VmbusServer(PlayedRam(session), len(self.partition.vps))
        self.traces: list[str] = []
        self.posts = self.signals = 0
        """Hypercalls of the guest."""
        self.heartbeat, self.shutdown, self.kvp, self.echo = Heartbeat(), Shutdown(), Kvp(), Echo()
        self.time_sync, self.console = TimeSync(), Console(self.partition.console.extend)
        self.services: tuple[Service, ...] = (
            self.heartbeat, self.shutdown, self.time_sync, self.kvp, self.console, self.echo
        )  # fmt: skip
        for service in self.services:
            self.offer(service)
        session.hypervisor.ports = self  # type: ignore[assignment]

    def forget(self, partition_id: int) -> None:
        """The machine ends."""

    def post(self, sender: VirtualProcessor, connection_id: int, kind: int, payload: bytes) -> Status:
        if not 0 < kind < 1 << 31:
            return Status.INVALID_PARAMETER
        if connection_id not in CONNECTIONS:
            return Status.INVALID_CONNECTION_ID
        self.posts += 1
        self._pass_time()
        self.server.message(payload)
        self.act()
        return Status.SUCCESS

    def signal(self, sender: VirtualProcessor, connection_id: int, flag: int) -> Status:
        relid = connection_id - CHANNEL_CONNECTION
        if relid not in [channel.relid for channel in self.server.channels]:
            return Status.INVALID_CONNECTION_ID
        if flag:
            return Status.INVALID_PARAMETER
        self.signals += 1
        self._pass_time()
        self.server.signal(relid)
        self.act()
        return Status.SUCCESS

    def act(self) -> None:
        """Does what the server wants done."""
        while self.server.actions:
            match self.server.actions.popleft():
                case Post(vp, payload):
                    self.partition.vps[vp].synic.post(VMBUS_SINT, Message(1, 0, payload))
                case SignalChannel(relid, vp):
                    self.partition.vps[vp].synic.signal(VMBUS_SINT, relid)
                case Trace(text=text):
                    self.traces.append(text)
        self._set_alarm()

    def offer(self, service: Service) -> None:
        """Offers a service, perhaps once more."""
        self.server.offer(Offer(service.interface, service.instance), service)

    def relid_of(self, service: Service) -> int:
        """The number of its channel."""
        return next(channel.relid for channel in self.server.channels if channel.user is service)

    def at(self, seconds: int, what: Callable[[], object]) -> None:
        """Has ``what`` done at that moment."""

        def do(_: int) -> None:
            self._pass_time()
            what()
            self.act()

        alarms = self.session.hypervisor.alarms
        alarms.set(("played", seconds), blocks_until(seconds * SECOND), do)

    def _pass_time(self) -> None:
        for service in self.services:
            service.tick(reference_time(self.session.hypervisor.now))

    def _set_alarm(self) -> None:
        due = [time for service in self.services if (time := service.due_100ns) is not None]
        if due and not self.partition.has_stopped:
            self.session.hypervisor.alarms.set("played host", blocks_until(min(due)), self._alarm)

    def _alarm(self, _: int) -> None:
        self._pass_time()
        self.act()
