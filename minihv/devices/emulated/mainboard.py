"""The mainboard: the chips of a PC, and the wires between them.

Stands for: the board of a PC with one interrupt controller of each kind.
Spec: Intel, "MultiProcessor Specification": "Virtual Wire Mode"; the standards of the chips.
Simplified: whoever takes an external interrupt takes its vector as soon as INTR rises. Timer and clock raise
    their lines 10,000 times a second at most.
First reading: ``Mainboard.__init__``, ``due_100ns``.
Next: ``minihv.parent.worker``

Each line leads to both controllers, and a system listens to one of them::

    timer, keyboard, port, clock ──Line──┬──> PIC ──INTR──> ``take_external``
                                         └──> I/O APIC ───> ``send``
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from minihv.devices.emulated.io_apic import Delivery, IoApic
from minihv.devices.emulated.keyboard import KeyboardController
from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.devices.emulated.pic import PicPair
from minihv.devices.emulated.pit import Pit
from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.emulated.rtc import DEFAULT_START, Rtc
from minihv.devices.emulated.uart import Uart
from minihv.devices.emulated.vga_text import VgaText
from minihv.spec import pic, ps2, rtc, uart

TIMER_LINE, TIMER_PIN = 0, 2
LEAST_PERIOD_100NS = 1000


class Mainboard:
    """A PC around the processors. ``ports`` may have other chips already: those stay, and have their lines.

    ``send`` takes the messages of the I/O APIC. Before each access the owner tells the time by ``tick``, and
    behind it asks ``take_external``.
    """

    def __init__(
        self,
        ports: PortBus,
        send: Callable[[Delivery], None],
        *,
        output: Callable[[bytes], None] = lambda _sent: None,
        on_reset: Callable[[], None] = lambda: None,
        start: datetime = DEFAULT_START,
    ) -> None:
        self.ports, self.memory = ports, MmioBus()
        self.pic, self.io_apic = PicPair(), IoApic(send)
        for number, line in enumerate(ports.lines):
            line.watch(partial(self.pic.set_line, number), partial(self.io_apic.set_line, pin_of(number)))
        self.pit = Pit(ports.lines[TIMER_LINE])
        self.keyboard = KeyboardController(ports.lines[ps2.LINE], on_reset)
        self.uart = Uart(ports.lines[uart.COM1_LINE], output)
        self.rtc = Rtc(ports.lines[rtc.LINE], start)
        self.vga = VgaText(ports)
        self._ticked = 0
        for chip in (self.pic, self.pit, self.keyboard, self.uart, self.rtc, self.vga):
            chip.connect(ports)
        self.io_apic.connect(self.memory)

    @property
    def chips(self) -> list[object]:
        """All of them, and those that others have put on the bus."""
        return [*self.ports.chips, *self.memory.chips]

    def power_on(self) -> None:
        """All chips are as they were when power came."""
        self.ports.power_on()
        self.io_apic.power_on()

    def tick(self, now_100ns: int) -> None:
        """It is so late now."""
        self._ticked = max(self._ticked, now_100ns)
        self.pit.advance(now_100ns)
        self.rtc.advance(now_100ns)

    @property
    def due_100ns(self) -> int | None:
        """When ``tick`` would raise a line that a controller lets through; None: not before an access."""
        dues = ((TIMER_LINE, self.pit.due_100ns), (rtc.LINE, self.rtc.due_100ns))
        due = min((due for line, due in dues if due is not None and self._waits_for(line)), default=None)
        return None if due is None else max(due, self._ticked + LEAST_PERIOD_100NS)

    def _waits_for(self, line: int) -> bool:
        return self.pic.waits_for(line) or self.io_apic.waits_for(pin_of(line))

    def take_external(self) -> int | None:
        """The vector that the PIC interrupts with, which is in service then; None: INTR is low."""
        return self.pic.acknowledge() if self.pic.interrupts else None


def pin_of(line: int) -> int:
    """The pin of the I/O APIC that a line leads to: the timer has that of the cascade."""
    return {TIMER_LINE: TIMER_PIN, pic.CASCADE: 0}.get(line, line)
