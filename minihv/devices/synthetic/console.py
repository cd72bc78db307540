"""A console over VMBus: text from the guest without an exit for every letter, and text to it.

Stands for: nothing in Hyper-V, whose machines have a screen and serial ports.
Spec: ``minihv.spec.own_channels``.
Simplified: none known.
"""

from collections.abc import Callable

from minihv.devices.synthetic.framing import open_pipe_frame, pipe_frame
from minihv.devices.synthetic.service import Packet, Refusal, Service
from minihv.spec.own_channels import CONSOLE_INSTANCE, CONSOLE_INTERFACE
from minihv.spec.vmbus_ring import PacketKind

MOST_INPUT_BYTES = 64 * 1024
"""So much input waits for a guest that does not read."""
CHUNK_BYTES = 1024


class Console(Service):
    """Gives the guest's text to ``sink`` as it comes, and what is written here to the guest."""

    name = "console"
    interface, instance = CONSOLE_INTERFACE, CONSOLE_INSTANCE

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        super().__init__()
        self.received_bytes = self.sent_bytes = 0
        self._sink = sink
        self._input = bytearray()

    def write(self, data: bytes) -> int:
        """Sends ``data`` to the guest, now or when it listens. How many bytes were taken."""
        taken = data[: MOST_INPUT_BYTES - len(self._input)]
        self._input += taken
        self._catch_up()
        return len(taken)

    def _begin(self) -> None:
        self._catch_up()

    def _take(self, packet: Packet) -> Refusal | None:
        if packet.kind != PacketKind.IN_BAND:
            return Refusal.UNASKED
        text = open_pipe_frame(packet.payload)
        if isinstance(text, Refusal):
            return text
        self.received_bytes += len(text)
        self._sink(text)
        return None

    @property
    def _is_behind(self) -> bool:
        """Never: input that waits keeps nobody from talking."""
        return False

    def _timer(self) -> int | None:
        return self._retry_at if self._input else None

    def _pass_time(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        super()._catch_up()
        while self._input and self._send_now(pipe_frame(bytes(self._input[:CHUNK_BYTES]))):
            self.sent_bytes += len(self._input[:CHUNK_BYTES])
            del self._input[:CHUNK_BYTES]
