"""A guest that is honest or lies, a host that offers, sends, takes back: the server does as the model says.

Whatever comes, nothing is raised, every question has its one answer, every GPADL and every number of a
channel is accounted for, and what goes into a ring comes out of it.
"""

from collections import deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from vmbus_client import Client, Device, contact, offer
from vmbus_model import Expected, Grant, Model, grants, is_answer

from minihv.spec.vmbus import NO_INTERRUPTS, MessageType, Version
from minihv.spec.vmbus_ring import PacketKind
from minihv.testing import Shares
from minihv.vmbus.actions import ConnectEvent
from minihv.vmbus.packets import Packet
from minihv.vmbus.ring import Ok, RingReader, RingWriter
from minihv.vmbus.rules import Rule
from minihv.vmbus.versions import SPOKEN

VP_COUNT = 2
RAM_PAGES = 16
GRANTS = grants(RAM_PAGES)
RELIDS = st.integers(0, 9)
"""Eight of ten stand for a channel that there is, the others for none."""
SELDOM = st.sampled_from([False] * 4 + [True])
GPADLS = st.integers(0, 3)
SPLITS = st.sampled_from([2, 2, 2, 3, 0, 1, 4, 0xFFFF_FFFF])
VPS = st.sampled_from([0, 0, 1, 1, 2, NO_INTERRUPTS])
VERSIONS = st.sampled_from([*SPOKEN, Version.V5_3, Version.V4_1, Version.V1_1, Version.V6_0, 7])
WORDS = st.sampled_from([4, 8, 0xFF8, 0x1000, 0x7FFF_FFF8, 0xFFFF_FFFF])
MOST_BYTES = 216
"""Of a GPADL in a header."""
MOST_MISSED = 6
"""So many rules may be broken by no example of a run; each has a test of its own elsewhere."""
FLOORS = {
    **{
        f"answer: {kind}": 0.002
        for kind in ("VERSION_RESPONSE", "OFFER_CHANNEL", "GPADL_CREATED", "OPEN_CHANNEL_RESULT")
    },
    **{f"answer: {kind}": 0.0003 for kind in ("GPADL_TORNDOWN", "UNLOAD_RESPONSE", "RESCIND_CHANNEL_OFFER")},
    "packets: received": 0.0005,
    "packets: sent": 0.0005,
    "lied in a ring": 0.001,
    "ring found corrupt": 0.0001,
}
NOT_BY_THE_MODEL = {
    "TOO_MANY_RANGES", "TOO_MANY_GPADLS", "TOO_MUCH_HALF_RECEIVED", "TOO_MANY_PAGES", "BACKLOG",  # quotas
    "TRUNCATED", "OVERSIZED", "UNKNOWN_TYPE", "NOT_MODELLED",  # what the decoder refuses
    "TRANSFER", "TRANSFER_RAM", "DEVICE", "RING_SMALL", "RING_CORRUPT",  # what devices meet
}  # fmt: skip


class Traffic:
    """What two rings hold, as queues."""

    def __init__(self, writer: RingWriter, reader: RingReader) -> None:
        self.writer, self.reader = writer, reader
        self.to_host: deque[bytes] = deque()
        self.to_guest: deque[bytes] = deque()
        self.is_honest = True


class Bus(RuleBasedStateMachine):
    """The two sides, and the model beside them."""

    shares: Shares

    @initialize(version=st.sampled_from([*SPOKEN, None]), opened=st.integers(0, 2))
    def begin(self, version: Version | None, opened: int) -> None:
        self.client = Client(RAM_PAGES, VP_COUNT)
        self.server = self.client.server
        self.model = Model(VP_COUNT)
        self.devices: dict[int, Device] = {}
        self.traffic: dict[int, Traffic] = {}
        self.sent = 0
        if version is not None:
            self.contact(version, 0, 2, really=True)
            for _ in range(2):
                self.offer()
            for number in range(opened):
                self.open_honestly(number, ["rings", "other rings"][number])

    # The host.

    @precondition(lambda self: len(self.model.channels) < 4)
    @rule()
    def offer(self) -> None:
        device = Device()
        relid, answers = self.model.offer()
        assert self.server.offer(offer(relid), device) == relid
        self.devices[relid] = device
        self.check((answers, None))

    @rule(which=RELIDS)
    def rescind(self, which: int) -> None:
        relid = self.relid(which)
        if relid in self.model.channels:
            self.server.rescind(relid)
            self.check((self.model.rescind(relid), None))

    @rule(which=st.one_of(RELIDS, st.just(1 << 32)))
    def signal(self, which: int) -> None:
        relid = self.relid(which)
        channel = self.model.channels.get(relid)
        is_open = channel is not None and channel.ring is not None
        if channel and is_open:
            channel.device_events.append("signalled")
        self.server.signal(relid)
        self.forgive(relid, "signalled")
        self.check(([], None if is_open else Rule.SIGNAL))

    # The connection.

    @rule(version=VERSIONS, target_vp=VPS, sint=st.sampled_from([2, 2, 0]), really=SELDOM)
    def contact(self, version: int, target_vp: int, sint: int, really: bool) -> None:
        if really or self.model.version is None:
            self.client.post(contact(version, target_vp, sint))
            self.check(self.model.contact(version, target_vp, sint))

    @rule()
    def request_offers(self) -> None:
        self.send(MessageType.REQUEST_OFFERS, {}, self.model.request_offers)

    @rule(really=SELDOM)
    def unload(self, really: bool) -> None:
        if really:
            self.send(MessageType.UNLOAD, {}, self.model.unload)

    @rule()
    def connect_honestly(self) -> None:
        """What a guest does first."""
        if self.model.version is None:
            self.contact(Version.V5_3, 0, 2, really=True)
        if not self.model.requested:
            self.request_offers()

    # GPADLs.

    @rule(
        which=RELIDS,
        gpadl=GPADLS,
        name=st.sampled_from(list(GRANTS)),
        sent=st.integers(0, 27),
        honest=st.booleans(),
    )
    def gpadl_header(self, which: int, gpadl: int, name: str, sent: int, honest: bool) -> None:
        relid = self.relid(which)
        grant = GRANTS[name]
        data = grant.data[: MOST_BYTES if honest else 8 * sent]
        self.header(relid, gpadl, grant, len(grant.data), data)

    @rule(which=RELIDS, gpadl=GPADLS, lie=st.sampled_from(["length", "count", "partial", "too much"]))
    def lying_header(self, which: int, gpadl: int, lie: str) -> None:
        relid = self.relid(which)
        grant = GRANTS["rings"]
        length, data = len(grant.data), grant.data
        if lie == "length":
            length = 12
        elif lie == "count":
            grant = Grant(grant.data, 0, None)
        else:
            data = data + bytes(8) if lie == "too much" else data[:-4]
        self.header(relid, gpadl, grant, length, data)

    def header(self, relid: int, gpadl: int, grant: Grant, length: int, data: bytes) -> None:
        members = {"relid": relid, "gpadl": gpadl, "range_bytes": length, "range_count": grant.range_count}
        self.send(
            MessageType.GPADL_HEADER,
            members,
            lambda: self.model.header(relid, gpadl, grant, length, len(data)),
            data,
        )

    @rule(gpadl=GPADLS, amount=st.sampled_from([None, None, None, 8, 16, 0, 12, 224]))
    def gpadl_body(self, gpadl: int, amount: int | None) -> None:
        half = self.model.half.get(gpadl)
        rest = half.grant.data[len(half.grant.data) - half.left :] if half else b""
        data = rest[:224] if amount is None else rest[:amount].ljust(amount, b"\0")
        self.send(MessageType.GPADL_BODY, {"gpadl": gpadl}, lambda: self.model.body(gpadl, len(data)), data)

    @rule(which=RELIDS, gpadl=GPADLS)
    def tear_down(self, which: int, gpadl: int) -> None:
        relid = self.relid(which)
        members = {"relid": relid, "gpadl": gpadl}
        self.send(MessageType.GPADL_TEARDOWN, members, lambda: self.model.teardown(relid, gpadl))

    # Channels.

    @rule(which=RELIDS, gpadl=GPADLS, split=SPLITS, target_vp=VPS)
    def open(self, which: int, gpadl: int, split: int, target_vp: int) -> None:
        relid = self.relid(which)
        members = {"relid": relid, "gpadl": gpadl, "page_offset": split, "target_vp": target_vp, "open_id": 9}
        self.send(
            MessageType.OPEN_CHANNEL, members, lambda: self.model.open(relid, gpadl, split, target_vp, 9)
        )

    @rule(which=RELIDS, name=st.sampled_from(["rings", "rings", "other rings", "many pages"]))
    def open_honestly(self, which: int, name: str) -> None:
        """What a guest does with an offer."""
        self.open(which, self.grant(which, name), 2, 0)

    @rule(which=RELIDS, name=st.sampled_from(list(GRANTS)), split=SPLITS, target_vp=VPS, half=SELDOM)
    def open_wrongly(self, which: int, name: str, split: int, target_vp: int, half: bool) -> None:
        """The same, but something may be wrong with it."""
        gpadl = self.grant(which, name, half=half)
        self.open(which, gpadl, split, target_vp)
        self.tear_down(which, gpadl)

    def grant(self, which: int, name: str, *, half: bool = False) -> int:
        """A new GPADL, of which all has come, or only the begin."""
        self.connect_honestly()
        gpadl = next(n for n in range(1000) if n not in self.model.whole and n not in self.model.half)
        self.gpadl_header(which, gpadl, name, 2, honest=not half)
        while gpadl in self.model.half and not half:
            self.gpadl_body(gpadl, None)
        return gpadl

    @rule(which=RELIDS)
    def close(self, which: int) -> None:
        relid = self.relid(which)
        self.send(MessageType.CLOSE_CHANNEL, {"relid": relid}, lambda: self.model.close(relid))

    @rule(which=RELIDS)
    def release(self, which: int) -> None:
        relid = self.relid(which)
        self.send(MessageType.REL_ID_RELEASED, {"relid": relid}, lambda: self.model.release(relid))

    @rule(which=RELIDS, target_vp=VPS)
    def modify(self, which: int, target_vp: int) -> None:
        relid = self.relid(which)
        members = {"relid": relid, "target_vp": target_vp}
        self.send(MessageType.MODIFY_CHANNEL, members, lambda: self.model.modify(relid, target_vp))

    # Rings.

    @rule(which=RELIDS, count=st.integers(1, 5), size=st.sampled_from([8, 24, 1000, 3000]))
    def guest_sends(self, which: int, count: int, size: int) -> None:
        relid = self.relid(which)
        for _ in range(count if self.is_open(relid) else 0):
            traffic, payload = self.traffic[relid], self.payload(size)
            if traffic.writer.write(Packet(PacketKind.IN_BAND, payload)) == Ok():
                traffic.to_host.append(payload)
                traffic.writer.commit_write()

    @rule(which=RELIDS, limit=st.integers(1, 4))
    def device_receives(self, which: int, limit: int) -> None:
        relid = self.relid(which)
        if not self.is_open(relid):
            return
        traffic = self.traffic[relid]
        found = [packet.payload for packet in self.devices[relid].open.receive(limit)]
        if traffic.is_honest:
            assert bool(found) == bool(traffic.to_host) and len(found) <= limit
            assert found == [traffic.to_host.popleft() for _ in found]
            self.shares.add("packets: received" if found else "packets: none")
        self.forgive(relid)
        self.check(([], None))

    @rule(which=RELIDS, count=st.integers(1, 5), size=st.sampled_from([8, 24, 1000, 3000]))
    def device_sends(self, which: int, count: int, size: int) -> None:
        relid = self.relid(which)
        for _ in range(count):
            if self.is_open(relid):
                payload = self.payload(size)
                if self.devices[relid].open.send(PacketKind.IN_BAND, payload):
                    self.traffic[relid].to_guest.append(payload)
                self.forgive(relid)
        self.check(([], None))

    @rule(which=RELIDS)
    def guest_receives(self, which: int) -> None:
        relid = self.relid(which)
        if not self.is_open(relid) or not self.traffic[relid].is_honest:
            return
        traffic = self.traffic[relid]
        while isinstance(packet := traffic.reader.read(), Packet):
            assert packet.payload == traffic.to_guest.popleft()
            self.shares.add("packets: sent")
        if traffic.reader.commit_read():
            self.signal(which)

    @rule(which=RELIDS, count=st.integers(1, 5), size=st.sampled_from([8, 24, 1000, 3000]), lies=SELDOM)
    def talk(self, which: int, count: int, size: int, lies: bool) -> None:
        """There and back, and perhaps a lie at the end."""
        self.guest_sends(which, count, size)
        self.device_receives(which, count)
        self.device_sends(which, count, size)
        self.guest_receives(which)
        if lies:
            self.guest_lies(which, 0xFFFF_FFFF, 0, 0)

    @rule(
        which=RELIDS,
        word=WORDS,
        at=st.sampled_from([0, 4, 8, 12, 64]),
        side=st.integers(0, 1),
    )
    def guest_lies(self, which: int, word: int, at: int, side: int) -> None:
        relid = self.relid(which)
        if self.is_open(relid):
            gpns, split = self.model.ring_gpns(relid)
            self.client.memory.write((gpns[side * split] << 12) + at, word.to_bytes(4, "little"))
            self.lose_trust(gpns)
            self.shares.add("lied in a ring")
            self.device_receives(which, 4)
            self.device_sends(which, 2, 3000)

    # What must hold.

    @invariant()
    def everything_is_accounted_for(self) -> None:
        table, model = self.server.gpadls, self.model
        assert len(table) == len(model.whole) + len(model.half)
        assert table.granted_pages == sum(len(grant.gpns) for _, grant in model.whole.values())
        for relid in model.channels:
            expected = [key for key, (owner, _) in model.whole.items() if owner == relid]
            expected += [key for key, half in model.half.items() if half.relid == relid]
            assert sorted(table.of_channel(relid)) == sorted(expected)
        assert [channel.relid for channel in self.server.channels] == sorted(model.channels)

    @invariant()
    def devices_know_whether_they_are_open(self) -> None:
        for relid, channel in self.model.channels.items():
            assert self.devices[relid].events == channel.device_events
            found = self.devices[relid].channel
            assert (found is not None) == (channel.ring is not None)
            assert found is None or found.is_open

    @invariant()
    def every_number_has_one_event_connection(self) -> None:
        connected = set[int]()
        for event in self.client.events:
            assert (event.relid in connected) != isinstance(event, ConnectEvent)
            connected ^= {event.relid}
        assert connected == set(self.model.channels)

    # How it is done.

    def send(self, kind: MessageType, members: dict[str, int], expect: Any, data: bytes = b"") -> None:
        """Sends a message; the model says what comes of it, if there is a connection."""
        self.client.send(kind, data, **members)
        self.check(([], Rule.NOT_CONNECTED) if self.model.version is None else expect())

    def check(self, expected: Expected) -> None:
        """Exactly the answers of the model have come, and the rule that it names was broken."""
        self.client.take()
        answers, broken = expected
        found = [(kind, body) for _, kind, body in self.client.inbox]
        assert len(found) == len(answers), (found, answers)
        assert all(is_answer(*pair) for pair in zip(found, answers, strict=True)), (found, answers)
        assert [trace.rule for trace in self.client.traces] == [broken] * (broken is not None)
        for kind, _ in found:
            self.shares.add(f"answer: {kind.name}")
        if broken:
            self.shares.add(f"broken: {broken.name}.")
        self.client.inbox.clear()
        self.client.traces.clear()
        self.follow()

    def follow(self) -> None:
        """Rings come and go with their channels; two that share pages trust each other in nothing."""
        still = {relid for relid, channel in self.model.channels.items() if channel.ring is not None}
        for relid in set(self.traffic) - still:
            del self.traffic[relid]
        for relid in still - set(self.traffic):
            gpns, split = self.model.ring_gpns(relid)
            others = [self.model.ring_gpns(other)[0] for other in self.traffic]
            self.traffic[relid] = Traffic(*self.client.rings(gpns, split))
            if len(set(gpns)) < len(gpns) or any(set(gpns) & set(other) for other in others):
                self.lose_trust(gpns)

    def lose_trust(self, gpns: Any) -> None:
        """What is in rings on these pages is anybody's guess from now on."""
        for relid, traffic in self.traffic.items():
            if set(self.model.ring_gpns(relid)[0]) & set(gpns):
                traffic.is_honest = False

    def forgive(self, relid: int, uncalled: str = "") -> None:
        """If a ring on which the guest lied was found corrupt, that is as it should be."""
        self.client.take()
        corrupt = [trace for trace in self.client.traces if trace.rule is Rule.RING_CORRUPT]
        if not corrupt:
            return
        assert not self.traffic[relid].is_honest and len(corrupt) == 1
        self.client.traces.clear()
        events = self.model.channels[relid].device_events
        if uncalled and events[-1] == uncalled and uncalled not in self.devices[relid].events[-2:]:
            events.pop()
        self.shares.add("ring found corrupt")
        self.check((self.model.rescind(relid), None))

    def relid(self, which: int) -> int:
        """A channel that there is, or a number of none."""
        known = sorted(self.model.channels)
        return known[which % len(known)] if known and which < 8 else which * 7

    def is_open(self, relid: int) -> bool:
        return relid in self.traffic

    def payload(self, size: int) -> bytes:
        self.sent += 1
        return self.sent.to_bytes(8, "little").ljust(size, b"\0")


def test_server_is_the_model_whatever_a_guest_sends() -> None:
    class Counted(Bus):
        shares = Shares()

    run_state_machine_as_test(Counted, settings=settings(stateful_step_count=80))
    seen = {rule.name for rule in Rule if Counted.shares.share(f"broken: {rule.name}.")}
    missed = {rule.name for rule in Rule} - seen - NOT_BY_THE_MODEL
    assert len(missed) <= MOST_MISSED and not seen & NOT_BY_THE_MODEL, missed
    Counted.shares.assert_floors(FLOORS)
