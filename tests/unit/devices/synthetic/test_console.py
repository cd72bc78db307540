"""Text goes both ways, and what is no text is dropped."""

from synthetic_guests import FakeChannel, FakePacket, opened, padded, send

from minihv.devices.synthetic.console import CHUNK_BYTES, MOST_INPUT_BYTES, Console
from minihv.devices.synthetic.framing import open_pipe_frame, pipe_frame
from minihv.devices.synthetic.service import RETRY_100NS, Refusal
from minihv.spec.vmbus_ring import PacketKind


def text(data: bytes) -> FakePacket:
    return FakePacket(padded(pipe_frame(data)))


def read_all(channel: FakeChannel) -> bytes:
    """What the guest reads."""
    frames = [open_pipe_frame(packet.payload) for packet in channel.to_guest]
    channel.to_guest.clear()
    assert not any(isinstance(frame, Refusal) for frame in frames)
    return b"".join(frame for frame in frames if isinstance(frame, bytes))


def test_text_of_the_guest_arrives() -> None:
    heard = bytearray()
    service = Console(heard.extend)
    send(service, opened(service), text(b"Hello, "), text(b""), text("Grüße\n".encode()))
    assert heard.decode() == "Hello, Grüße\n"
    assert service.received_bytes == len(heard)


def test_noise_is_dropped() -> None:
    heard = bytearray()
    service = Console(heard.extend)
    send(service, opened(service), FakePacket(b"noise..."), FakePacket(b"", PacketKind.COMPLETION))
    assert (heard, service.dropped) == (b"", {Refusal.PIPE_TYPE: 1, Refusal.UNASKED: 1})


def test_input_reaches_the_guest_in_order() -> None:
    service = Console(bytes)
    assert service.write(b"before ") == 7
    channel = opened(service)
    assert service.write(b"after") == 5
    assert (read_all(channel), service.sent_bytes) == (b"before after", 12)


def test_long_input_is_cut_into_chunks() -> None:
    service = Console(bytes)
    channel = opened(service)
    service.write(bytes(2 * CHUNK_BYTES + 1))
    assert [len(packet.payload) - 8 for packet in channel.to_guest] == [CHUNK_BYTES, CHUNK_BYTES, 8]


def test_input_waits_for_room_and_text_does_not() -> None:
    heard = bytearray()
    service = Console(heard.extend)
    channel = opened(service, room=1)
    service.write(bytes(CHUNK_BYTES) + b"rest")
    send(service, channel, text(b"talking"))
    assert (heard, service.due_100ns) == (b"talking", RETRY_100NS)
    channel.to_guest.clear()
    service.tick(RETRY_100NS)
    assert (read_all(channel), service.due_100ns) == (b"rest", None)


def test_input_that_nobody_reads_is_bounded() -> None:
    service = Console(bytes)
    assert service.write(bytes(MOST_INPUT_BYTES + 5)) == MOST_INPUT_BYTES
    assert service.write(b"x") == 0
