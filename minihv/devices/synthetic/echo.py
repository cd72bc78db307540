"""Echo: packets come back, are swallowed, or are made, so that a ring can be tested and measured.

Stands for: nothing in Hyper-V; the smallest VSP that there can be.
Spec: ``minihv.spec.own_channels``.
Simplified: none known.
Next: ``minihv.devices.synthetic.console``
"""

from dataclasses import dataclass

from minihv.devices.synthetic.service import Packet, Refusal, Service
from minihv.spec.own_channels import (
    ECHO_INSTANCE,
    ECHO_INTERFACE,
    MOST_SOURCE_BYTES,
    EchoHeader,
    EchoOperation,
    EchoOrder,
    EchoTotals,
)
from minihv.spec.vmbus_ring import PacketFlags, PacketKind

MOST_SENT_IN_A_TURN = 1024
"""Of the packets of an order, so that no guest can keep the parent from its other work."""
RING_UNIT = 8
U64 = 1 << 64


@dataclass(slots=True)
class Order:
    """An order that is being served."""

    packet: Packet
    packet_count: int
    body_bytes: int
    sent: int = 0


class Echo(Service):
    """Does what its guest asks, within the bounds of the ring."""

    name = "echo"
    interface, instance = ECHO_INTERFACE, ECHO_INSTANCE
    pipe_mode = False

    def __init__(self) -> None:
        super().__init__()
        self.echoed_packets = 0
        self.sunk_packets = self.sunk_bytes = 0
        self.made_packets = self.made_bytes = 0
        self._order: Order | None = None

    def _begin(self) -> None:
        self.echoed_packets = self.sunk_packets = self.sunk_bytes = self.made_packets = self.made_bytes = 0
        self._order = None

    def _end(self) -> None:
        self._order = None

    def _take(self, packet: Packet) -> Refusal | None:
        """Serves one packet."""
        body = open_packet(packet)
        if isinstance(body, Refusal):
            return body
        match EchoHeader(bytearray(packet.payload[: EchoHeader.byte_count])).operation:
            case EchoOperation.ECHO:
                self.echoed_packets += 1
                self._answer(packet, packet.payload)
            case EchoOperation.SINK:
                self._sink(packet, len(body))
            case EchoOperation.SOURCE:
                return self._accept(packet, body)
            case EchoOperation.TOTALS:
                self._answer(packet, self._totals())
            case _:
                return Refusal.OPERATION
        return None

    def _sink(self, packet: Packet, body_bytes: int) -> None:
        self.sunk_packets += 1
        self.sunk_bytes += body_bytes
        if packet.flags & PacketFlags.COMPLETION_REQUESTED:
            self._answer(packet, self._totals())

    def _accept(self, packet: Packet, body: bytes) -> Refusal | None:
        """Takes an order, if none is being served."""
        if len(body) < EchoOrder.byte_count:
            return Refusal.SHORT
        order = EchoOrder(bytearray(body[: EchoOrder.byte_count]))
        if order.body_bytes > MOST_SOURCE_BYTES:
            return Refusal.BODY
        if self._order is not None:
            return Refusal.BUSY
        self._order = Order(packet, order.packet_count, order.body_bytes)
        self._serve()
        return None

    def _answer(self, packet: Packet, payload: bytes) -> None:
        """Answers as the packet wishes: by its completion, or in-band."""
        if packet.flags & PacketFlags.COMPLETION_REQUESTED:
            self._send(payload, PacketKind.COMPLETION, packet.transaction_id)
        else:
            self._send(payload)

    def _totals(self) -> bytes:
        header = EchoHeader.build(
            operation=EchoOperation.TOTALS, length=EchoTotals.byte_count - EchoHeader.byte_count
        )
        return bytes(
            EchoTotals.build(
                header=header,
                sunk_packets=self.sunk_packets % U64,
                sunk_bytes=self.sunk_bytes % U64,
                sent_packets=self.made_packets % U64,
                sent_bytes=self.made_bytes % U64,
            )
        )

    def _catch_up(self) -> None:
        super()._catch_up()
        self._serve()

    def _serve(self) -> None:
        """Sends more of an order, until the ring is full, the turn is over, or the order is done."""
        order, left = self._order, MOST_SENT_IN_A_TURN
        if order is None or self._outbox:
            return
        while order.sent < order.packet_count and left:
            if not self._send_now(data_packet(order.sent, order.body_bytes)):
                return
            order.sent, left = order.sent + 1, left - 1
            self.made_packets += 1
            self.made_bytes += order.body_bytes
        if order.sent == order.packet_count:
            self._order = None
            if order.packet.flags & PacketFlags.COMPLETION_REQUESTED:
                self._answer(order.packet, self._totals())

    def _timer(self) -> int | None:
        return self._retry_at if self._order is not None else None

    def _pass_time(self) -> None:
        self._catch_up()


def open_packet(packet: Packet) -> bytes | Refusal:
    """The body of a packet of the echo channel."""
    if packet.kind != PacketKind.IN_BAND:
        return Refusal.UNASKED
    if len(packet.payload) < EchoHeader.byte_count:
        return Refusal.SHORT
    length = EchoHeader(bytearray(packet.payload[: EchoHeader.byte_count])).length
    room = len(packet.payload) - EchoHeader.byte_count
    if not 0 <= room - length < RING_UNIT:
        return Refusal.LENGTH
    return packet.payload[EchoHeader.byte_count : EchoHeader.byte_count + length]


def data_packet(number: int, body_bytes: int) -> bytes:
    """Packet ``number`` of an order."""
    header = EchoHeader.build(operation=EchoOperation.DATA, length=body_bytes)
    return bytes(header) + number.to_bytes(8, "little")[:body_bytes].ljust(body_bytes, b"\0")
