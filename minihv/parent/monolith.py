"""The monolithic architecture: the same device models and the same VMBus server, inside ring -1.

Stands for: a hypervisor that has its devices and drivers in itself, as those before Hyper-V had.
Spec: TLFS, "Intercepts" and "Inter-Partition Communication": what a child sees is the same.
Simplified: nothing is paid for; a child is there until the machine ends.
First reading: ``Models.answer``, ``Monolith.create_child``, ``Monolith.drain``.
Next: ``minihv.parent.monolith_session``

No parent partition, no message, no hypercall back: an intercept is a call of Python inside the exit, and a
signal of the child reaches its service before its hypercall returns. The price is who may crash: all of this
runs in ring -1.
"""

from collections.abc import Sequence

from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.synthetic.service import Service
from minihv.guests.image import Image
from minihv.guests.session import load
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.ports import Port
from minihv.hypervisor.synic import Buffers, Message
from minihv.machine import clock
from minihv.parent import port_numbers as numbers
from minihv.parent.buses import Buses, ChildBus
from minihv.parent.child_memory import ChildRam
from minihv.parent.children import PORTS_OF_PC, Child, Plan
from minihv.parent.offers import standard_services
from minihv.parent.vid import ChildMemory, Run
from minihv.parent.vmbus_service import BUSY, MOST_TRIES, RETRY_100NS
from minihv.parent.wires import InnerWires
from minihv.parent.worker import Values, decide
from minihv.spec.hypercalls import Status
from minihv.spec.synic import BUFFERS_OF_PORT, PortType
from minihv.spec.vmbus import CHANNEL_CONNECTIONS
from minihv.terms import PAGE_BYTES
from minihv.vmbus.actions import ConnectEvent, DisconnectEvent, Post, SignalChannel, Trace
from minihv.vmbus.server import VmbusServer

MESSAGE_TYPE = 1


class Models:
    """The devices of one child: what its worker would decide is decided here. ``answered`` counts by type."""

    def __init__(self, child: Child) -> None:
        self.answered: dict[int, int] = {}
        self._child = child

    @property
    def why(self) -> str:
        """Why the child cannot go on, once it cannot."""
        return self._child.why

    def answer(self, kind: int, payload: bytes) -> Values:
        """The registers that answer an intercept message; none: the VP cannot go on."""
        self.answered[kind] = self.answered.get(kind, 0) + 1
        return decide(self._child, kind, payload)


class Monolith(Buses):
    """All that ring -1 of ``hypervisor`` has besides itself: the devices and the buses of ``children``."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        super().__init__(lambda: clock.reference_time(hypervisor.now))
        self.hypervisor = hypervisor
        self.children: dict[int, Child] = {}
        self._buffers: dict[tuple[int, int], Buffers] = {}
        """Of messages to a VP, by child and VP: as a port's."""

    def create_child(  # noqa: PLR0913 - the description of a machine
        self,
        name: str,
        memory_bytes: int,
        vps: int = 1,
        image: Image | None = None,
        *,
        ports: PortBus | None = None,
        services: Sequence[Service] = (),
    ) -> Child:
        """A partition whose devices are in ring -1; it runs when the machine does.

        Raises:
            ConfigurationError: a size or a count that cannot be, or no memory for it.
        """
        partition = self.hypervisor.create_partition(name, memory_bytes, vps=vps)
        plan = Plan(name, memory_bytes, vps, image, PortBus() if ports is None else ports, services)
        memory = ChildMemory(partition.gpa_space, (Run(0, 0, memory_bytes // PAGE_BYTES),))
        child = self.children[partition.id] = Child(partition.id, plan, memory, partition, is_started=True)
        child.wires = InnerWires(child, self._now, self.hypervisor.alarms)
        partition.models = Models(child)
        partition.intercepts.ports.update((*PORTS_OF_PC, *plan.ports.ports))
        partition.intercepts.msrs.add(0)
        if image is not None:
            load(partition, image, memory_bytes)
        self._connect(child)
        return child

    def _connect(self, child: Child) -> None:
        """The child's connections for messages lead here, and what it is offered waits for it."""
        partition = child.partition
        ram = child.plan.ports.ram = ChildRam(partition.gpa_space, self.hypervisor.memory)
        bus = self.buses[child.id] = child.services = ChildBus(child, VmbusServer(ram, child.plan.vp_count))
        for vp in range(child.plan.vp_count):
            self._buffers[child.id, vp] = Buffers(BUFFERS_OF_PORT)
        port = Port(
            partition, numbers.messages_from(child.id), PortType.MESSAGE, child.id, numbers.MESSAGE_SINT, 0
        )
        port.sink = lambda payload: self._message(bus, payload)
        for connection in numbers.FROM_GUEST:
            self.hypervisor.ports.connect(child.id, connection, port)
        for service in standard_services(child):
            self.offer(bus, service)

    # What the child says, within its hypercall.

    def _message(self, bus: ChildBus, payload: bytes) -> None:
        bus.try_again()
        self._tell_time(bus, bus.services.values())
        bus.server.message(payload)
        self.attend(bus)

    def _signalled(self, bus: ChildBus, relid: int) -> None:
        bus.try_again()
        self._tell_time(bus, [bus.services[relid]] if relid in bus.services else [])
        bus.server.signal(relid)
        self.attend(bus)

    def _alarm(self, bus: ChildBus) -> None:
        """The moment came that something on the bus waited for."""
        self._tell_time(bus, bus.services.values())
        if bus.retry_at is not None and bus.retry_at <= self._now():
            self._act(bus)
        self.drain(bus)

    # What the server wants.

    def drain(self, bus: ChildBus) -> None:
        """What the server of ``bus`` wants is done, unless a message waits for a buffer."""
        if not bus.must_wait:
            self._act(bus)
        self._set_alarm(bus)

    def _act(self, bus: ChildBus) -> None:
        """Does what waits, in order, until nothing does or a message finds no buffer."""
        actions, synic = bus.server.actions, [vp.synic for vp in bus.child.partition.vps]
        while actions:
            action = actions.popleft()
            match action:
                case Post():
                    if not self._post(bus, action):
                        return
                case SignalChannel(relid, vp):
                    bus.refused += synic[vp].signal(numbers.CHILD_SINT, relid) is not Status.SUCCESS
                case ConnectEvent(relid, connection):
                    self._connect_event(bus, relid, connection)
                case DisconnectEvent(relid):
                    bus.services.pop(relid, None)
                    self.hypervisor.ports.disconnect(bus.child.id, CHANNEL_CONNECTIONS | relid)
                case Trace():
                    self._note(bus, action)

    def _post(self, bus: ChildBus, action: Post) -> bool:
        """Posts a message. False: there is no buffer for it, and it is the next action again."""
        message = Message(MESSAGE_TYPE, numbers.MESSAGES_TO_VP + action.vp, action.payload)
        synic = bus.child.partition.vps[action.vp].synic
        status = synic.post(numbers.CHILD_SINT, message, self._buffers[bus.child.id, action.vp])
        if status in BUSY:
            bus.server.actions.put_back(action)
            bus.tries += 1
            late = bus.tries >= MOST_TRIES
            bus.retry_at = None if late else self._now() + (RETRY_100NS << bus.tries - 1)
            return False
        bus.tries, bus.retry_at = 0, None
        bus.refused += status is not Status.SUCCESS
        return True

    def _connect_event(self, bus: ChildBus, relid: int, connection: int) -> None:
        partition, sint = bus.child.partition, numbers.EVENT_SINT
        port = Port(partition, numbers.events_of(relid), PortType.EVENT, partition.id, sint, 0, 0, 1)
        port.sink = lambda _nothing: self._signalled(bus, relid)
        status = self.hypervisor.ports.connect(partition.id, connection, port)
        bus.refused += status is not Status.SUCCESS

    def _set_alarm(self, bus: ChildBus) -> None:
        due, key = bus.due_100ns, ("bus", bus.child.id)
        if due is None:
            self.hypervisor.alarms.cancel(key)
        else:
            self.hypervisor.alarms.set(key, clock.blocks_until(due), lambda _: self._alarm(bus))
