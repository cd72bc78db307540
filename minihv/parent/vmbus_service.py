"""VMBus in the parent: messages and events of children reach their server, and what it wants is done.

Stands for: the VMBus driver of the parent (vmbusr) and its VSPs, in ring 0.
Spec: TLFS, "Inter-Partition Communication"; ``minihv.spec.vmbus``.
First reading: ``_message``, ``_events``, ``ChildBus.drain``.
Next: ``minihv.parent.partition``

Whatever a server wants done is an action. A signal is a hypercall whose result nobody waits for; everything
else is done by one job at a time, in order, because a message that finds no buffer has to be tried again.
"""

from collections.abc import Callable, Generator, Iterable
from functools import partial

from minihv.devices.synthetic.service import Service
from minihv.errors import ConfigurationError
from minihv.parent import calls
from minihv.parent import port_numbers as numbers
from minihv.parent.buses import Buses, ChildBus
from minihv.parent.child_memory import ChildRam
from minihv.parent.children import Child, make
from minihv.parent.gate import Gate, GateCall, GateCode
from minihv.parent.orders import Order, Orders, Result, Steps
from minihv.parent.timer import KernelTimer
from minihv.spec.hypercalls import Status
from minihv.spec.vmbus import CHANNEL_CONNECTIONS
from minihv.vmbus.actions import ConnectEvent, DisconnectEvent, Post, SignalChannel, Trace
from minihv.vmbus.server import VmbusServer

SLOT_PAYLOAD, SLOT_SIZE_AT, SLOT_ORIGIN = 16, 4, slice(8, 16)
RETRY_100NS, MOST_TRIES = 100_000, 8
"""So long after a message found no buffer it is tried again: 10 ms, and twice as long each time.

After so many tries it waits until the child says something: one that sleeps for good wakes nobody.
"""
BUSY = (Status.INSUFFICIENT_BUFFERS, Status.INSUFFICIENT_MEMORY)

PARENT_ID = 1


class VmbusService(Buses):
    """The buses of all children. ``now`` is the time in units of 100 ns; ``offers`` go to each child."""

    def __init__(
        self,
        gate: Gate,
        orders: Orders,
        timer: KernelTimer,
        now: Callable[[], int],
        offers: Callable[[Child], Iterable[Service]],
    ) -> None:
        super().__init__(now)
        self._orders, self._timer = orders, timer
        self._offers = offers
        self._by_flag: dict[int, tuple[ChildBus, int]] = {}
        gate.serve(GateCode.VMBUS_MESSAGE, self._message)
        gate.serve(GateCode.CHANNEL_EVENT, self._events)

    # Children come and go.

    def connect(self, child: Child, ram: ChildRam) -> Steps:
        """The ports of a child that has its VPs, and the offers that wait for it."""
        bus = ChildBus(child, VmbusServer(ram, child.plan.vp_count))
        self.buses[child.id] = child.services = bus
        yield from make(
            calls.message_port(PARENT_ID, numbers.messages_from(child.id), child.id, numbers.MESSAGE_SINT)
        )
        for connection in numbers.FROM_GUEST:
            port = numbers.messages_from(child.id)
            yield from make(calls.connect_port(child.id, connection, PARENT_ID, port, calls.MESSAGE_PORT))
        for vp in range(child.plan.vp_count):
            yield from self._connect_vp(child.id, vp)
        for service in self._offers(child):
            self.offer(bus, service)
        yield from self._pump(bus)

    def _connect_vp(self, child: int, vp: int) -> Steps:
        port, sint = numbers.MESSAGES_TO_VP + vp, numbers.CHILD_SINT
        connection = numbers.message_connection(child, vp)
        yield from make(calls.message_port(child, port, PARENT_ID, sint, vp))
        yield from make(calls.connect_port(PARENT_ID, connection, child, port, calls.MESSAGE_PORT))
        port, connection = numbers.EVENTS_TO_VP + vp, numbers.event_connection(child, vp)
        yield from make(calls.event_port(child, port, PARENT_ID, sint, vp))
        yield from make(calls.connect_port(PARENT_ID, connection, child, port, calls.EVENT_PORT))

    def disconnect(self, child: int, vp_count: int) -> Steps:
        """Nothing of a child is left in the parent: its server, its ports, the parent's connections to it.

        What the child owns goes with its partition.
        """
        bus = self.buses.pop(child, None)
        if bus is None:
            return
        bus.is_closed = True
        if bus.pump is not None:
            self._orders.cancel(bus.pump)
        self._timer.cancel(("bus", child))
        bus.server.reset()
        for relid in list(bus.flags):
            yield from self._disconnect_event(bus, relid)
        yield calls.delete_port(PARENT_ID, numbers.messages_from(child))
        for vp in range(vp_count):
            yield calls.disconnect_port(PARENT_ID, numbers.message_connection(child, vp))
            yield calls.disconnect_port(PARENT_ID, numbers.event_connection(child, vp))

    # What the kernel tells.

    def _message(self, call: GateCall) -> int:
        """A child posted a message."""
        slot = call.read()
        port = int.from_bytes(slot[SLOT_ORIGIN], "little")
        bus = self.buses.get(numbers.child_of_port(port))
        if bus is not None:
            bus.try_again()
            self._tell_time(bus, bus.services.values())
            bus.server.message(slot[SLOT_PAYLOAD : SLOT_PAYLOAD + slot[SLOT_SIZE_AT]])
            self.attend(bus)
        return self._orders.place()

    def _events(self, call: GateCall) -> int:
        """Children signalled channels: the argument is the numbers of their flags."""
        flags = call.read()
        for at in range(0, len(flags), 4):
            bus, relid = self._by_flag.get(int.from_bytes(flags[at : at + 4], "little"), (None, 0))
            if bus is not None and not bus.is_closed:
                bus.try_again()
                self._tell_time(bus, [bus.services[relid]] if relid in bus.services else [])
                bus.server.signal(relid)
                self.attend(bus)
        return self._orders.place()

    def _expire(self, bus: ChildBus) -> None:
        """The moment came that something on the bus waited for."""
        self._tell_time(bus, bus.services.values())
        if bus.retry_at is not None and bus.retry_at <= self._now():
            self._start_pump(bus)
        self.drain(bus)

    # What the servers want.

    def drain(self, bus: ChildBus) -> None:
        """What the server of ``bus`` wants done is on its way."""
        actions = bus.server.actions
        while actions and not bus.must_wait:
            action = actions.popleft()
            match action:
                case SignalChannel(relid, vp):
                    connection = numbers.event_connection(bus.child.id, vp)
                    self._orders.post(calls.signal_event(connection, relid))
                case Trace():
                    self._note(bus, action)
                case _:
                    actions.put_back(action)
                    self._start_pump(bus)
        self._set_tick(bus)

    def _start_pump(self, bus: ChildBus) -> None:
        bus.retry_at = None
        bus.pump = self._orders.submit(f"bus of {bus.child.name}", self._pump(bus))

    def _pump(self, bus: ChildBus) -> Steps:
        """Does what waits, in order, until nothing does or a message finds no buffer."""
        actions = bus.server.actions
        while actions and not bus.is_closed:
            action = actions.popleft()
            match action:
                case Post():
                    if not (yield from self._post(bus, action)):
                        break
                case SignalChannel(relid, vp):
                    result = yield calls.signal_event(numbers.event_connection(bus.child.id, vp), relid)
                    bus.refused += not result.succeeded
                case ConnectEvent(relid, connection):
                    yield from self._connect_event(bus, relid, connection)
                case DisconnectEvent(relid):
                    yield from self._disconnect_event(bus, relid)
                case Trace():
                    self._note(bus, action)
        self._set_tick(bus)

    def _post(self, bus: ChildBus, action: Post) -> Generator[Order, Result, bool]:
        """Posts a message. False: there is no buffer for it, and it is the next action again."""
        connection = numbers.message_connection(bus.child.id, action.vp)
        result = yield calls.post_message(connection, action.payload)
        if result.status in BUSY:
            bus.server.actions.put_back(action)
            bus.tries += 1
            if bus.tries < MOST_TRIES:
                bus.retry_at = self._now() + (RETRY_100NS << bus.tries - 1)
            return False
        bus.tries = 0
        bus.refused += not result.succeeded
        return True

    def _connect_event(self, bus: ChildBus, relid: int, connection: int) -> Steps:
        flag = next((flag for flag in range(1, numbers.FLAG_COUNT) if flag not in self._by_flag), None)
        if flag is None:
            raise ConfigurationError(
                f"The children of a parent have at most {numbers.FLAG_COUNT - 1} channels together: "
                "delete a child first."
            )
        self._by_flag[flag] = bus, relid
        bus.flags[relid] = flag
        port, child = numbers.events_of(flag), bus.child.id
        yield from make(calls.event_port(PARENT_ID, port, child, numbers.EVENT_SINT, base_flag=flag, count=1))
        yield from make(calls.connect_port(child, connection, PARENT_ID, port, calls.EVENT_PORT))

    def _disconnect_event(self, bus: ChildBus, relid: int) -> Steps:
        flag = bus.flags.pop(relid, None)
        if flag is None:
            return
        bus.services.pop(relid, None)
        yield calls.delete_port(PARENT_ID, numbers.events_of(flag))
        if not bus.is_closed:
            yield calls.disconnect_port(bus.child.id, CHANNEL_CONNECTIONS | relid)
        del self._by_flag[flag]

    def _set_tick(self, bus: ChildBus) -> None:
        """The timer of the kernel is set for the first moment that something waits for."""
        self._timer.set(("bus", bus.child.id), bus.due_100ns, partial(self._expire, bus))
