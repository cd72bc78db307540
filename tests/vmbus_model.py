"""The protocol of VMBus as a table of what is known: what a server must answer to each message, and why.

Written apart from the server, without its quotas.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vmbus_client import one_range

from minihv.spec.vmbus import NO_INTERRUPTS, MessageType, Version
from minihv.terms import PAGE_BYTES
from minihv.vmbus.rules import Rule

Answer = tuple[MessageType, dict[str, int]]
Expected = tuple[list[Answer], Rule | None]
SPOKEN = {0x20004, 0x30000, 0x40000, 0x40001, 0x50000, 0x50001, 0x50002, 0x50003}
M = MessageType


@dataclass(frozen=True)
class Grant:
    """A GPADL that a guest may send, and what is to become of it when all of it has come."""

    data: bytes
    range_count: int
    rule: Rule | None
    gpns: tuple[int, ...] = ()
    holds_rings: bool = False


def grants(ram_pages: int) -> dict[str, Grant]:
    """GPADLs good and bad, by what is special with them."""

    def ring(first: int, count: int) -> Grant:
        gpns = tuple(range(first, first + count))
        return Grant(one_range(gpns), 1, None, gpns, holds_rings=True)

    def bad(rule: Rule, data: bytes, count: int = 1) -> Grant:
        return Grant(data, count, rule)

    return {
        "rings": ring(2, 4),
        "other rings": ring(8, 6),
        "many pages": Grant(one_range([3] * 60), 1, None, (3,) * 60, holds_rings=True),
        "two ranges": Grant(one_range([2, 3]) + one_range([3], 8, 100), 2, None, (2, 3, 3)),
        "part of a page": Grant(one_range([2, 3, 4, 5], 0, 4 * PAGE_BYTES - 8), 1, None, (2, 3, 4, 5)),
        "outside RAM": bad(Rule.NOT_RAM, one_range([2, ram_pages])),
        "far outside RAM": bad(Rule.NOT_RAM, one_range([(1 << 64) - 1])),
        "no bytes": bad(Rule.NO_BYTES, one_range([2], 0, 0)),
        "offset": bad(Rule.OFFSET, one_range([2, 3], PAGE_BYTES, 8)),
        "too long a range": bad(Rule.RANGES_END, one_range([2], 0, 0xFFFF_FFFF)),
        "something left": bad(Rule.RANGES_END, one_range([2, 3], 0, 8)),
    }


@dataclass
class Channel:
    """A number that is taken."""

    is_told: bool = False
    is_rescinded: bool = False
    is_unclosed: bool = False
    ring: int | None = None
    """The GPADL of the rings while the host has it open."""
    split: int = 0
    device_events: list[str] = field(default_factory=list)


@dataclass
class Half:
    """A GPADL of which some has come."""

    relid: int
    grant: Grant
    left: int


class Model:
    """What both sides know of each other. A method says what the server must post, and the rule broken."""

    def __init__(self, vp_count: int) -> None:
        self.vp_count = vp_count
        self.version: int | None = None
        self.requested = False
        self.channels: dict[int, Channel] = {}
        self.whole: dict[int, tuple[int, Grant]] = {}
        self.half: dict[int, Half] = {}

    # The host.

    def offer(self) -> tuple[int, list[Answer]]:
        relid = next(n for n in range(1, 2048) if n not in self.channels)
        self.channels[relid] = Channel()
        return relid, self.tell(relid) if self.requested else []

    def rescind(self, relid: int) -> list[Answer]:
        channel = self.channels[relid]
        if channel.is_rescinded:
            return []
        channel.is_rescinded = True
        self.end(channel)
        if channel.is_told:
            return [(M.RESCIND_CHANNEL_OFFER, {"relid": relid})]
        self.forget(relid)
        return []

    def disconnect(self) -> None:
        self.version, self.requested = None, False
        self.whole.clear()
        self.half.clear()
        for relid, channel in list(self.channels.items()):
            channel.is_told = channel.is_unclosed = False
            self.end(channel)
            if channel.is_rescinded:
                del self.channels[relid]

    # The guest.

    def contact(self, version: int, target_vp: int, sint: int) -> Expected:
        self.disconnect()
        refusal, vp = None, target_vp if version >= Version.V3_0 else 0
        if version not in SPOKEN:
            refusal = Rule.VERSION
        elif vp >= self.vp_count:
            refusal = Rule.CONTACT_VP
        elif version >= Version.V5_0 and sint != 2:
            refusal = Rule.CONTACT_SINT
        if refusal:
            state = 0 if refusal is Rule.VERSION else 2
            return [(M.VERSION_RESPONSE, {"supported": 0, "state": state})], refusal
        self.version = version
        connection = 4 if version >= Version.V5_0 else 0
        return [(M.VERSION_RESPONSE, {"supported": 1, "state": 0, "connection_id": connection})], None

    def request_offers(self) -> Expected:
        if self.requested:
            return [], Rule.OFFERS_TWICE
        self.requested = True
        told = [answer for relid in sorted(self.channels) for answer in self.tell(relid)]
        return [*told, (M.ALL_OFFERS_DELIVERED, {})], None

    def unload(self) -> Expected:
        self.disconnect()
        return [(M.UNLOAD_RESPONSE, {})], None

    def header(self, relid: int, gpadl: int, grant: Grant, length: int, sent: int) -> Expected:
        """A header that announces ``length`` bytes, and brings ``sent`` of them."""
        rule = self.problem_of_header(relid, gpadl, grant, length)
        if rule is None:
            self.half[gpadl] = Half(relid, grant, length)
            return self.more(gpadl, sent)
        return self.created(relid, gpadl, rule)

    def problem_of_header(self, relid: int, gpadl: int, grant: Grant, length: int) -> Rule | None:
        channel = self.channels.get(relid)
        if channel is None or not channel.is_told:
            return Rule.NO_CHANNEL
        if channel.is_rescinded:
            return Rule.RESCINDED
        if gpadl in self.whole or gpadl in self.half:
            return Rule.GPADL_TAKEN
        count = grant.range_count
        return Rule.GPADL_LENGTH if not count or length % 8 or length < 16 * count else None

    def body(self, gpadl: int, sent: int) -> Expected:
        return self.more(gpadl, sent) if gpadl in self.half else ([], Rule.NOT_HALF_RECEIVED)

    def more(self, gpadl: int, sent: int) -> Expected:
        half = self.half[gpadl]
        if not sent or sent % 8 or sent > half.left:
            del self.half[gpadl]
            return self.created(half.relid, gpadl, Rule.BODY_LENGTH)
        half.left -= sent
        if half.left:
            return [], None
        del self.half[gpadl]
        if half.grant.rule is None:
            self.whole[gpadl] = (half.relid, half.grant)
        return self.created(half.relid, gpadl, half.grant.rule)

    def teardown(self, relid: int, gpadl: int) -> Expected:
        rule = self.problem_of_gpadl(relid, gpadl)
        if rule is None and self.channels[relid].ring == gpadl:
            rule = Rule.GPADL_IN_USE
        if rule:
            return [], rule
        del self.whole[gpadl]
        return [(M.GPADL_TORNDOWN, {"gpadl": gpadl})], None

    def problem_of_gpadl(self, relid: int, gpadl: int) -> Rule | None:
        if relid not in self.channels or not self.channels[relid].is_told:
            return Rule.NO_CHANNEL
        if gpadl in self.half and self.half[gpadl].relid == relid:
            return Rule.GPADL_UNFINISHED
        return None if gpadl in self.whole and self.whole[gpadl][0] == relid else Rule.NO_GPADL

    def open(self, relid: int, gpadl: int, split: int, target_vp: int, open_id: int) -> Expected:
        rule = self.problem_of_open(relid, gpadl, split, target_vp)
        if rule is None:
            channel = self.channels[relid]
            channel.is_unclosed, channel.ring, channel.split = True, gpadl, split
            channel.device_events.append("opened")
        result = {"relid": relid, "open_id": open_id, "status": status_of(rule)}
        return [(M.OPEN_CHANNEL_RESULT, result)], rule

    def problem_of_open(self, relid: int, gpadl: int, split: int, target_vp: int) -> Rule | None:
        channel = self.channels.get(relid)
        if channel is None or not channel.is_told:
            return Rule.NO_CHANNEL
        if channel.is_rescinded or channel.ring is not None:
            return Rule.RESCINDED if channel.is_rescinded else Rule.NOT_CLOSED
        rule = self.problem_of_gpadl(relid, gpadl)
        if rule or (target_vp >= self.vp_count and target_vp != NO_INTERRUPTS):
            return rule or Rule.NO_VP
        grant = self.whole[gpadl][1]
        if not grant.holds_rings:
            return Rule.RING_RANGE
        return None if split >= 2 and len(grant.gpns) - split >= 2 else Rule.RING_OFFSET

    def close(self, relid: int) -> Expected:
        channel = self.channels.get(relid)
        if channel is None or not channel.is_told:
            return [], Rule.NO_CHANNEL
        if not channel.is_unclosed:
            return [], Rule.NOT_OPEN
        channel.is_unclosed = False
        self.end(channel)
        return [], None

    def release(self, relid: int) -> Expected:
        channel = self.channels.get(relid)
        if channel is None or not channel.is_told:
            return [], Rule.NO_CHANNEL
        if not channel.is_rescinded:
            return [], Rule.NOT_RESCINDED
        self.forget(relid)
        return [], None

    def modify(self, relid: int, target_vp: int) -> Expected:
        assert self.version is not None
        if self.version < Version.V4_1:
            return [], Rule.TOO_EARLY
        channel, rule = self.channels.get(relid), None
        if channel is None or not channel.is_told:
            rule = Rule.NO_CHANNEL
        elif channel.ring is None:
            rule = Rule.RESCINDED if channel.is_rescinded else Rule.NOT_OPEN
        elif target_vp >= self.vp_count and target_vp != NO_INTERRUPTS:
            rule = Rule.NO_VP
        if self.version < Version.V5_3:
            return [], rule
        return [(M.MODIFY_CHANNEL_RESPONSE, {"relid": relid, "status": status_of(rule)})], rule

    # Small things.

    def created(self, relid: int, gpadl: int, rule: Rule | None) -> Expected:
        return [(M.GPADL_CREATED, {"relid": relid, "gpadl": gpadl, "status": status_of(rule)})], rule

    def tell(self, relid: int) -> list[Answer]:
        self.channels[relid].is_told = True
        return [(M.OFFER_CHANNEL, {"relid": relid, "connection_id": 0x2000 | relid, "monitor_allocated": 0})]

    def end(self, channel: Channel) -> None:
        if channel.ring is not None:
            channel.ring = None
            channel.device_events.append("closed")

    def forget(self, relid: int) -> None:
        del self.channels[relid]
        self.whole = {key: found for key, found in self.whole.items() if found[0] != relid}
        self.half = {key: half for key, half in self.half.items() if half.relid != relid}

    def ring_gpns(self, relid: int) -> tuple[Sequence[int], int]:
        """The pages of an open channel's rings, and where the second begins."""
        channel = self.channels[relid]
        assert channel.ring is not None
        return self.whole[channel.ring][1].gpns, channel.split


def status_of(rule: Rule | None) -> int:
    """The status in the answer."""
    return 0 if rule is None else int(rule.status or 0xC000_0001)


def is_answer(found: tuple[MessageType, Any], expected: Answer) -> bool:
    """Whether a message is the one that was expected, as far as that says."""
    kind, body = found
    return kind is expected[0] and all(getattr(body, name) == value for name, value in expected[1].items())
