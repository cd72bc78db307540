"""The server: hears a guest's messages, answers them, and keeps its channels. A pure state machine.

Stands for: the VMBus service in the parent, vmbusr; ring 0 of the parent partition.
Spec: ``minihv.spec.vmbus``; the rules and their answers are in ``minihv.vmbus.rules``.
Simplified: one connection, of VTL 0; no reserved channels, no sockets of Hyper-V.
"""

from collections.abc import Callable
from typing import Any

from minihv.errors import ConfigurationError
from minihv.spec.vmbus import (
    NO_INTERRUPTS,
    CloseChannel,
    ConnectionState,
    GpadlBody,
    GpadlHeader,
    GpadlTeardown,
    InitiateContact,
    MessageType,
    ModifyChannel,
    RelIdReleased,
    Version,
    version_words,
)
from minihv.spec.vmbus import OpenChannel as OpenRequest
from minihv.vmbus.actions import Actions, ConnectEvent, DisconnectEvent, Post, SignalChannel
from minihv.vmbus.channel import ChannelUser, OpenChannel
from minihv.vmbus.ends import NATIVE, Ends
from minihv.vmbus.gpadl import Gpadl, GpadlTable, HalfReceived
from minihv.vmbus.guest_memory import GuestMemory
from minihv.vmbus.messages import Message, decode, encode
from minihv.vmbus.offers import Offer, OfferedChannel, OfferTable
from minihv.vmbus.rules import Refused, Rule, refused
from minihv.vmbus.versions import Agreement, answering_vp, negotiate

LEAST_RING_PAGES = 2
"""The control page, and a page of data."""


class VmbusServer:
    """The host's end of VMBus for one child of ``vp_count`` VPs, whose RAM is ``memory``.

    What it wants done is in ``actions``. A guest can make it neither raise nor keep more than
    ``minihv.vmbus.limits`` says.
    """

    def __init__(self, memory: GuestMemory, vp_count: int = 1, ends: Ends = NATIVE) -> None:
        self._memory = memory
        self._ends = ends
        self._vp_count = vp_count
        self.actions = Actions()
        self.agreement: Agreement | None = None
        """Of the connection, while there is one."""
        self.offers_requested = False
        self.ignored_messages = 0
        """Messages that came while too much waited."""
        self._channels = OfferTable()
        self._gpadls = GpadlTable(memory.is_ram)
        self._handlers: dict[MessageType, Callable[[Any, bytes], Refused | None]] = {
            MessageType.REQUEST_OFFERS: self._request_offers,
            MessageType.OPEN_CHANNEL: self._open,
            MessageType.CLOSE_CHANNEL: self._close,
            MessageType.GPADL_HEADER: self._gpadl_header,
            MessageType.GPADL_BODY: self._gpadl_body,
            MessageType.GPADL_TEARDOWN: self._gpadl_teardown,
            MessageType.REL_ID_RELEASED: self._release,
            MessageType.UNLOAD: self._unload,
            MessageType.MODIFY_CHANNEL: self._modify,
        }

    @property
    def channels(self) -> tuple[OfferedChannel, ...]:
        """Every channel that has a number, in the order of the numbers."""
        return tuple(self._channels)

    @property
    def gpadls(self) -> GpadlTable:
        """The GPADLs of the guest, for those who look."""
        return self._gpadls

    # What the host does.

    def offer(self, offer: Offer, user: ChannelUser) -> int:
        """Offers a device, to a guest that has asked or will ask; the relid of its channel.

        Raises:
            ConfigurationError: every relid is taken.
        """
        channel = self._channels.add(offer, user)
        self.actions.append(ConnectEvent(channel.relid, channel.connection_id))
        if self.offers_requested:
            self._tell(channel)
        return channel.relid

    def rescind(self, relid: int) -> None:
        """Takes an offer back: the channel is closed at once, its relid taken until the guest releases it.

        Raises:
            ConfigurationError: nothing is offered under that number.
        """
        channel = self._channels.get(relid)
        if channel is None:
            raise ConfigurationError(
                f"What is rescinded was offered, and nothing is under relid {relid:#x}: "
                "`channels` has the list."
            )
        if channel.is_rescinded:
            return
        channel.is_rescinded = True
        if not channel.is_told:
            self._forget(channel)
            return
        self._post(MessageType.RESCIND_CHANNEL_OFFER, relid=relid)
        self._end(channel)

    def reset(self) -> None:
        """The guest begins anew, or is no more: what it has set up is gone, and the offers stay."""
        self.agreement = None
        self.offers_requested = False
        self._gpadls.clear()
        for channel in self._channels:
            channel.is_told = channel.is_unclosed = False
            self._end(channel)
            if channel.is_rescinded:
                self._forget(channel)

    # What the guest does.

    def message(self, payload: bytes) -> None:
        """Hears a message and answers it."""
        if self.actions.is_full:
            self.ignored_messages += 1
            return
        message = decode(payload)
        problem = message if isinstance(message, Refused) else self._hear(message)
        if problem is not None:
            self.actions.trace(problem, getattr(getattr(message, "body", None), "relid", None))

    def signal(self, relid: int) -> None:
        """The guest has signalled a channel."""
        channel = self._channels.get(relid)
        if channel is None or channel.open is None:
            self.actions.trace(refused(Rule.SIGNAL, relid=relid), relid)
        else:
            channel.open.signalled(channel.user)

    def _hear(self, message: Message) -> Refused | None:
        kind = message.kind
        if kind.number is MessageType.INITIATE_CONTACT:
            return self._contact(message.body)
        if self.agreement is None:
            return refused(Rule.NOT_CONNECTED, kind=kind.words)
        if self.agreement.version < kind.since:
            since, version = version_words(kind.since), version_words(self.agreement.version)
            return refused(Rule.TOO_EARLY, kind=kind.words, since=since, version=version)
        handler = self._handlers.get(kind.number)
        return handler(message.body, message.data) if handler else refused(Rule.NOT_MODELLED, kind=kind.words)

    # The connection.

    def _contact(self, contact: InitiateContact) -> Refused | None:
        """A contact while there is a connection is an Unload first: another kernel has taken over."""
        self.reset()
        answer = negotiate(contact, self._vp_count)
        if isinstance(answer, Refused):
            state = ConnectionState.SUCCESSFUL if answer.rule is Rule.VERSION else ConnectionState.FAILED
            vp = answering_vp(contact, self._vp_count)
            self.actions.append(Post(vp, encode(MessageType.VERSION_RESPONSE, supported=0, state=state)))
            return answer
        self.agreement = answer
        self._post(MessageType.VERSION_RESPONSE, supported=1, connection_id=answer.connection_id)
        return None

    def _request_offers(self, _body: Any, _data: bytes) -> Refused | None:
        if self.offers_requested:
            return refused(Rule.OFFERS_TWICE)
        self.offers_requested = True
        for channel in self._channels:
            self._tell(channel)
        self._post(MessageType.ALL_OFFERS_DELIVERED)
        return None

    def _unload(self, _body: Any, _data: bytes) -> None:
        self._post(MessageType.UNLOAD_RESPONSE)
        self.reset()

    # Channels.

    def _open(self, body: OpenRequest, _data: bytes) -> Refused | None:
        channel = self._channel(body.relid)
        gpadl = channel if isinstance(channel, Refused) else self._ring_gpadl(channel, body)
        status = gpadl.status if isinstance(gpadl, Refused) else 0
        self._post(MessageType.OPEN_CHANNEL_RESULT, relid=body.relid, open_id=body.open_id, status=status)
        if isinstance(gpadl, Refused) or isinstance(channel, Refused):
            return gpadl if isinstance(gpadl, Refused) else None
        channel.is_unclosed = True
        channel.open = OpenChannel(self, self._memory, self._ends, body, gpadl)
        channel.open.begin(channel.user)
        return None

    def _ring_gpadl(self, channel: OfferedChannel, body: OpenRequest) -> Gpadl | Refused:
        """The GPADL for the rings of a channel that is to be opened."""
        if channel.is_rescinded:
            return refused(Rule.RESCINDED, relid=channel.relid)
        if channel.open is not None:
            return refused(Rule.NOT_CLOSED, relid=channel.relid)
        gpadl = self._gpadls.find(body.gpadl, channel.relid)
        if isinstance(gpadl, Refused):
            return gpadl
        return self._no_vp(body.target_vp) or ring_problem(gpadl, body.page_offset) or gpadl

    def _close(self, body: CloseChannel, _data: bytes) -> Refused | None:
        channel = self._channel(body.relid)
        if isinstance(channel, Refused):
            return channel
        if not channel.is_unclosed:
            return refused(Rule.NOT_OPEN, kind="CloseChannel", relid=body.relid)
        channel.is_unclosed = False
        self._end(channel)
        return None

    def _release(self, body: RelIdReleased, _data: bytes) -> Refused | None:
        channel = self._channel(body.relid)
        if isinstance(channel, Refused):
            return channel
        if not channel.is_rescinded:
            return refused(Rule.NOT_RESCINDED, relid=body.relid)
        self._forget(channel)
        return None

    def _modify(self, body: ModifyChannel, _data: bytes) -> Refused | None:
        assert self.agreement is not None
        channel = self._channel(body.relid)
        problem = channel if isinstance(channel, Refused) else self._move(channel, body.target_vp)
        if self.agreement.version >= Version.V5_3:
            status = problem.status if problem else 0
            self._post(MessageType.MODIFY_CHANNEL_RESPONSE, relid=body.relid, status=status)
        return problem

    def _move(self, channel: OfferedChannel, vp: int) -> Refused | None:
        if channel.open is None:
            rule = Rule.RESCINDED if channel.is_rescinded else Rule.NOT_OPEN
            return refused(rule, kind="ModifyChannel", relid=channel.relid)
        problem = self._no_vp(vp)
        if problem is None:
            channel.open.target_vp = vp
        return problem

    # GPADLs.

    def _gpadl_header(self, body: GpadlHeader, data: bytes) -> Refused | None:
        channel = self._channel(body.relid)
        if isinstance(channel, OfferedChannel) and channel.is_rescinded:
            channel = refused(Rule.RESCINDED, relid=body.relid)
        found = channel if isinstance(channel, Refused) else self._gpadls.begin(body, data)
        return self._answer_gpadl(body.relid, body.gpadl, found)

    def _gpadl_body(self, body: GpadlBody, data: bytes) -> Refused | None:
        relid = self._gpadls.relid_of_half(body.gpadl)
        found = self._gpadls.extend(body.gpadl, data)
        if relid is None:
            return found if isinstance(found, Refused) else None
        return self._answer_gpadl(relid, body.gpadl, found)

    def _answer_gpadl(self, relid: int, gpadl: int, found: Gpadl | HalfReceived | Refused) -> Refused | None:
        """GpadlCreated once, when all of it has come or when something is wrong with it."""
        if isinstance(found, HalfReceived):
            return None
        status = found.status if isinstance(found, Refused) else 0
        self._post(MessageType.GPADL_CREATED, relid=relid, gpadl=gpadl, status=status)
        return found if isinstance(found, Refused) else None

    def _gpadl_teardown(self, body: GpadlTeardown, _data: bytes) -> Refused | None:
        channel = self._channel(body.relid)
        gpadl = channel if isinstance(channel, Refused) else self._gpadls.find(body.gpadl, body.relid)
        if isinstance(gpadl, Refused) or isinstance(channel, Refused):
            return gpadl if isinstance(gpadl, Refused) else None
        if channel.open is not None and channel.open.gpadl is gpadl:
            return refused(Rule.GPADL_IN_USE, gpadl=body.gpadl, relid=body.relid)
        self._gpadls.remove(body.gpadl)
        self._post(MessageType.GPADL_TORNDOWN, gpadl=body.gpadl)
        return None

    # What the channel asks of the server that opened it.

    def signal_guest(self, relid: int, vp: int) -> None:
        """Event flag ``relid`` of ``vp`` is to be set."""
        if vp != NO_INTERRUPTS:
            self.actions.append(SignalChannel(relid, vp))

    def note(self, relid: int, problem: Refused) -> None:
        """The guest broke a rule in the ring, and is told so by the device."""
        self.actions.trace(problem, relid)

    def give_up(self, relid: int, problem: Refused) -> None:
        """The guest cannot be trusted any more: the channel is rescinded."""
        self.actions.trace(problem, relid)
        self.rescind(relid)

    # Small things.

    def _channel(self, relid: int) -> OfferedChannel | Refused:
        channel = self._channels.get(relid)
        if channel is None or not channel.is_told:
            return refused(Rule.NO_CHANNEL, relid=relid)
        return channel

    def _no_vp(self, vp: int) -> Refused | None:
        if vp < self._vp_count or vp == NO_INTERRUPTS:
            return None
        return refused(Rule.NO_VP, count=self._vp_count, found=vp)

    def _tell(self, channel: OfferedChannel) -> None:
        assert self.agreement is not None
        channel.is_told = True
        self.actions.append(Post(self.agreement.message_vp, channel.offer_message()))

    def _end(self, channel: OfferedChannel) -> None:
        """The host's end of an open channel is closed: nothing of its rings is touched any more."""
        if channel.open is not None:
            channel.open.end()
            channel.open = None
            channel.user.closed()

    def _forget(self, channel: OfferedChannel) -> None:
        self._gpadls.drop_channel(channel.relid)
        self._channels.remove(channel.relid)
        self.actions.append(DisconnectEvent(channel.relid))

    def _post(self, kind: MessageType, **members: Any) -> None:
        assert self.agreement is not None
        self.actions.append(Post(self.agreement.message_vp, encode(kind, **members)))


def ring_problem(gpadl: Gpadl, page_offset: int) -> Refused | None:
    """What keeps ``gpadl`` from holding two rings, the second of which begins at page ``page_offset``."""
    if len(gpadl.ranges) != 1 or not gpadl.ranges[0].is_whole_pages:
        return refused(Rule.RING_RANGE, gpadl=gpadl.id)
    if not LEAST_RING_PAGES <= page_offset <= gpadl.page_count - LEAST_RING_PAGES:
        return refused(Rule.RING_OFFSET, found=page_offset, pages=gpadl.page_count)
    return None
