"""A queue of messages is a queue, whatever the guest does meanwhile, and no event flag is ever lost."""

from collections import deque
from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from synics import AUTO_EOI, ENABLE, MASKED, POLLING, SIEFP, SIMP, Controller

from minihv.hypervisor.gpa_map import READ, READ_WRITE_EXECUTE
from minihv.hypervisor.synic import Buffers, Message
from minihv.machine.frames import HYPERVISOR
from minihv.spec.hypercalls import Status
from minihv.spec.synic import BUFFERS_OF_PORT, EVENT_FLAG_COUNT, SLOT_BYTES
from minihv.terms import PAGE_BYTES, Gpa
from minihv.testing import Shares

SINTS = 1, 2, 3
VECTORS = {sint: 0x50 + sint for sint in SINTS}
STEPS = 120
POSTED = {
    "into the empty slot": 0.1,
    "waits": 0.1,
    "refused, no buffer": 0.03,
    "refused, disabled": 0.03,
    "waits, no page": 0.03,
}
TAKEN = {"nothing": 0.05, "with EOM": 0.15, "without EOM": 0.1, "EOM forgotten": 0.03}
SIGNALLED = {"interrupt": 0.1, "was set": 0.05, "no interrupt": 0.03, "refused": 0.1}


class World:
    """A controller, its guest, its senders, and a model that has never heard of slots."""

    def __init__(self, random: Random, shares: dict[str, Shares]) -> None:
        self.random, self.shares = random, shares
        self.it = Controller()
        self.ports = {sint: [Buffers(BUFFERS_OF_PORT), Buffers(2)] for sint in SINTS}
        self.queues: dict[int, deque[Message]] = {sint: deque() for sint in SINTS}
        self.sources = dict(VECTORS)
        self.enabled = self.has_pages = True
        self.number = self.interrupts = 0
        self.owed: set[int] = set()
        """SINTs whose guest has not written the EOM that it was asked for."""
        self.set: dict[int, set[int]] = {sint: set() for sint in SINTS}
        self.overlay = self.it.memory.frames.allocate(HYPERVISOR)
        for sint, vector in VECTORS.items():
            assert self.it.synic.write_sint(sint, vector)
        self.page = Gpa(SIMP), self.it.space.spns(SIMP >> 12, 1)

    def act(self) -> None:
        """Something happens."""
        weights: dict[Callable[[], None], int] = {
            self.post: 8, self.signal: 5, self.take: 6, self.take_flags: 2, self.end: 2, self.configure: 2,
            self.switch: 1 if self.enabled else 4, self.hide: 1 if self.has_pages else 4,
        }  # fmt: skip
        self.random.choices(list(weights), list(weights.values()))[0]()
        self.check()

    def post(self) -> None:
        """A sender posts a message that has never been there."""
        sint = self.random.choice(SINTS)
        self.number += 1
        size = self.random.choice((4, 5, 100, 240))
        payload = self.number.to_bytes(4, "little").ljust(size, b"\xa5")
        message = Message(self.random.randrange(1, 1 << 31), sint, payload)
        buffers = self.random.choice(self.ports[sint])
        slot_was_empty = self.it.slot(sint).type == 0
        free = buffers.free
        status = self.it.synic.post(sint, message, buffers)
        if not self.enabled:
            verdict = "refused, disabled"
            assert status is Status.INVALID_SYNIC_STATE
        elif not free:
            verdict = "refused, no buffer"
            assert status is Status.INSUFFICIENT_BUFFERS
        else:
            self.queues[sint].append(message)
            found = "into the empty slot" if slot_was_empty else "waits"
            verdict = found if self.has_pages else "waits, no page"
            assert status is Status.SUCCESS
        self.shares["posted"].add(f"posted: {verdict}")

    def take(self) -> None:
        """The guest empties a slot, and writes EOM if it was asked to, mostly at once."""
        full = [sint for sint in SINTS if self.it.slot(sint).type]
        sint = self.random.choice(full or SINTS)
        slot = self.it.slot(sint)
        if slot.type == 0 or not self.has_pages:
            self.shares["taken"].add("taken: nothing")
            return
        expected = self.queues[sint].popleft()
        assert Message(slot.type, slot.origin, slot.payload[: slot.payload_bytes]) == expected
        self.it.empty(sint)
        verdict = "without EOM"
        if slot.flags.pending:
            forgets = self.random.random() < 0.2
            verdict = "EOM forgotten" if forgets else "with EOM"
            self.owed.add(sint)
            if not forgets:
                self.end()
        self.shares["taken"].add(f"taken: {verdict}")

    def end(self) -> None:
        """EOM or EOI."""
        self.it.synic.retry()
        if self.enabled and self.has_pages:
            self.owed.clear()

    def configure(self) -> None:
        """The guest gives a source other bits."""
        sint = self.random.choice(SINTS)
        bits = self.random.choice((0, 0, MASKED, AUTO_EOI, POLLING, AUTO_EOI | POLLING))
        self.sources[sint] = VECTORS[sint] | bits
        assert self.it.synic.write_sint(sint, self.sources[sint])

    def switch(self) -> None:
        """The guest switches its controller off, or on again."""
        self.enabled = not self.enabled
        assert self.it.synic.write_control(ENABLE if self.enabled else 0)

    def hide(self) -> None:
        """The pages go for a while: an overlay hides them, or the parent takes or protects them."""
        space, gpns = self.it.space, (SIMP >> 12, SIEFP >> 12)
        if not self.has_pages:
            self.show()
            return
        spns = [space.spns(gpn, 1) for gpn in gpns]
        way = self.random.randrange(3)
        for gpn, frames in zip(gpns, spns, strict=True):
            assert frames is not None
            if way == 0:
                space.lay_over(Gpa(gpn * PAGE_BYTES), self.overlay, "a test's page")
            else:
                space.map_pages(gpn, frames, READ if way == 1 else 0)
        self.has_pages, self.hidden = False, (way, spns)

    def show(self) -> None:
        """They come back, and the guest, who does not know what it missed, writes EOM."""
        space, (way, spns) = self.it.space, self.hidden
        for gpn, frames in zip((SIMP >> 12, SIEFP >> 12), spns, strict=True):
            assert frames is not None
            if way == 0:
                space.lift(Gpa(gpn * PAGE_BYTES))
            else:
                space.map_pages(gpn, frames, READ_WRITE_EXECUTE)
        self.has_pages = True
        self.end()

    def signal(self) -> None:
        """A sender sets a flag, of few so that some are set."""
        sint, flag = self.random.choice(SINTS), self.random.choice((0, 1, 7, 8, 100, EVENT_FLAG_COUNT - 1))
        before = len(self.it.apic.requests)
        status = self.it.synic.signal(sint, flag)
        interrupts = len(self.it.apic.requests) - before
        self.interrupts += interrupts
        source = self.sources[sint]
        if not self.enabled or not self.has_pages or source & MASKED:
            assert (status, interrupts) == (Status.INVALID_SYNIC_STATE, 0)
            self.shares["signalled"].add("signalled: refused")
            return
        is_new = flag not in self.set[sint]
        assert (status, interrupts) == (Status.SUCCESS, is_new and not source & POLLING)
        self.set[sint].add(flag)
        verdict = "interrupt" if interrupts else "no interrupt" if is_new else "was set"
        self.shares["signalled"].add(f"signalled: {verdict}")

    def take_flags(self) -> None:
        """The guest takes the flags of a source: exactly those that were set since."""
        sint = self.random.choice(SINTS)
        if self.has_pages:
            assert self.it.flags(sint) == self.set[sint]
            self.it.space.write(SIEFP + sint * SLOT_BYTES, bytes(SLOT_BYTES))
            self.set[sint] = set()

    def check(self) -> None:
        """What must hold at any time: the head is in the slot, the next is promised, buffers add up."""
        for sint, queue in self.queues.items():
            slot, waiting = self.it.slot(sint), self.it.synic.waiting(sint)
            assert len(queue) == waiting + (slot.type != 0)
            if slot.type:
                assert slot.payload[: slot.payload_bytes] == queue[0].payload
            if self.enabled and self.has_pages and sint not in self.owed:
                assert not waiting or slot.flags.pending, "a message waits, and nobody will say EOM"
                assert not waiting or slot.type, "a message waits for an empty slot"
            used = sum(limit - port.free for limit, port in zip((16, 2), self.ports[sint], strict=True))
            assert used == waiting

    def drain(self) -> None:
        """In the end the guest takes everything."""
        if not self.has_pages:
            self.show()
        if not self.enabled:
            self.switch()
        self.end()
        for sint, queue in self.queues.items():
            assert [self.it.take(sint) for _ in range(len(queue) + 1)] == [*queue, None]


def test_messages_arrive_once_and_in_order_and_no_flag_is_lost() -> None:
    shares = {name: Shares() for name in ("posted", "taken", "signalled")}

    @settings(max_examples=150)
    @given(st.integers(0, 1 << 32))
    def holds(seed: int) -> None:
        world = World(Random(seed), shares)
        with world.it:
            for _ in range(STEPS):
                world.act()
            world.drain()

    holds()
    for name, floors in (("posted", POSTED), ("taken", TAKEN), ("signalled", SIGNALLED)):
        shares[name].assert_floors(floors)
