"""The keyboard, and the controller between it and the processor.

Stands for: an 8042 with its firmware, and a keyboard of 101 keys.
Spec: IBM, "Personal System/2 Hardware Interface Technical Reference".
Simplified: bytes take no time on the wire; no mouse, no repeating keys, no scancode set 3; A20 is always on,
    whatever is written.
First reading: ``Keyboard.command``, ``KeyboardController.write``.
Next: ``minihv.devices.emulated.io_apic``
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ps2 import (
    ACKNOWLEDGE,
    BREAK,
    COMMAND_PORT,
    CONTROLLER_PASSED,
    DATA_PORT,
    INTERFACE_PASSED,
    KEYBOARD_ID,
    KEYS,
    NO_MOUSE,
    RESEND,
    SELF_TEST_PASSED,
    Command,
    Config,
    KeyboardCommand,
    Output,
    Status,
)

MOST_BYTES = 64
"""That wait to be read; keys beyond them are lost, as on a keyboard whose buffer is full."""
WANTS_DATA = (KeyboardCommand.SET_LEDS, KeyboardCommand.SCANCODE_SET, KeyboardCommand.TYPEMATIC)
SETS = (1, 2)
RESET_CONFIG = Config.KEYBOARD_INTERRUPT | Config.TRANSLATE | Config.MOUSE_OFF
DATA, COMMAND = 0, 1
"""The registers of the controller."""


class Keyboard:
    """What is behind the cable: it takes commands, and says which keys are pressed."""

    def __init__(self) -> None:
        self.leds, self.scancode_set, self.is_enabled = 0, 2, True
        self._expects: KeyboardCommand | None = None
        self._last = 0

    def command(self, value: int) -> list[int]:
        """What it answers to a byte."""
        expects, self._expects = self._expects, None
        answer = self._execute(value) if expects is None else self._take(expects, value)
        self._last = answer[-1] if answer else self._last
        return answer

    def _execute(self, value: int) -> list[int]:
        if value not in KeyboardCommand.__members__.values():
            return [RESEND]
        command = KeyboardCommand(value)
        if command in WANTS_DATA:
            self._expects = command
        elif command in (KeyboardCommand.ENABLE, KeyboardCommand.DISABLE):
            self.is_enabled = command is KeyboardCommand.ENABLE
        elif command in (KeyboardCommand.DEFAULTS, KeyboardCommand.RESET):
            self.leds, self.scancode_set, self.is_enabled = 0, 2, True
        answers = {
            KeyboardCommand.ECHO: [int(KeyboardCommand.ECHO)],
            KeyboardCommand.RESEND: [self._last],
            KeyboardCommand.IDENTIFY: [ACKNOWLEDGE, *KEYBOARD_ID],
            KeyboardCommand.RESET: [ACKNOWLEDGE, SELF_TEST_PASSED],
        }
        return answers.get(command, [ACKNOWLEDGE])

    def _take(self, command: KeyboardCommand, value: int) -> list[int]:
        """The byte behind a command."""
        if command is KeyboardCommand.SET_LEDS:
            self.leds = value & 7
        if command is not KeyboardCommand.SCANCODE_SET:
            return [ACKNOWLEDGE]
        if value == 0:
            return [ACKNOWLEDGE, self.scancode_set]
        if value not in SETS:
            return [RESEND]
        self.scancode_set = value
        return [ACKNOWLEDGE]

    def codes(self, key: str, *, pressed: bool, translated: bool) -> list[int]:
        """What ``key`` of ``KEYS`` says: in set 1, if it is chosen or the controller translates."""
        if not self.is_enabled:
            return []
        first, second = KEYS[key]
        if translated or self.scancode_set == 1:
            return [first if pressed else first | 0x80]
        return [second] if pressed else [BREAK, second]


class KeyboardController:
    """The two ports. ``on_reset`` is called when the guest pulls the reset line of the machine."""

    def __init__(self, line: Line, on_reset: Callable[[], None] = lambda: None) -> None:
        self.line, self.on_reset = line, on_reset
        self.power_on()

    def power_on(self) -> None:
        """No byte waits, and the keyboard was told nothing."""
        self.keyboard = Keyboard()
        self.config = int(RESET_CONFIG)
        self._status = int(Status.UNLOCKED)
        self._output: deque[tuple[int, bool]] = deque()
        """Bytes that wait, and whether each is a mouse's."""
        self._last = 0
        self._expects: int | None = None
        """A command whose byte is next at the data port."""
        self._show()

    def connect(self, bus: PortBus) -> None:
        """The controller answers its ports."""
        bus.connect(DATA_PORT, 1, ControllerPort(self, DATA))
        bus.connect(COMMAND_PORT, 1, ControllerPort(self, COMMAND))

    def press(self, key: str) -> None:
        """A key of ``KEYS`` goes down."""
        self._key(key, pressed=True)

    def release(self, key: str) -> None:
        """A key of ``KEYS`` is let go."""
        self._key(key, pressed=False)

    def type(self, keys: str) -> None:
        """Each key goes down and up."""
        for key in keys:
            self.press(key)
            self.release(key)

    def _key(self, key: str, *, pressed: bool) -> None:
        translated = bool(self.config & Config.TRANSLATE)
        codes = self.keyboard.codes(key, pressed=pressed, translated=translated)
        if not self.config & Config.KEYBOARD_OFF and len(self._output) + len(codes) <= MOST_BYTES:
            self._put(*codes)

    # Bytes on their way to the processor.

    def _put(self, *values: int, from_mouse: bool = False) -> None:
        room = MOST_BYTES - len(self._output)
        self._output.extend((value, from_mouse) for value in values[:room])
        self._show()

    def _show(self) -> None:
        wants = Config.MOUSE_INTERRUPT if self.from_mouse else Config.KEYBOARD_INTERRUPT
        self.line.set(bool(self._output) and not self.from_mouse and bool(self.config & wants))

    @property
    def from_mouse(self) -> bool:
        """Whether the byte that is next was put there as a mouse's."""
        return bool(self._output) and self._output[0][1]

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN: the next byte, or the last one again; or the status."""
        if register == COMMAND:
            full = Status.OUTPUT_FULL if self._output else 0
            return self._status | full | (Status.FROM_MOUSE if self.from_mouse else 0)
        if self._output:
            self._last, _ = self._output.popleft()
            self.line.set(False)  # the next byte is an edge of its own
            self._show()
        return self._last

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT: a command, the byte behind one, or a byte for the keyboard."""
        value &= 0xFF
        if register == COMMAND:
            self._status |= Status.COMMAND
            self._expects = None
            self._command(value)
            return
        self._status &= ~Status.COMMAND
        expects, self._expects = self._expects, None
        if expects is None:
            self.config &= ~Config.KEYBOARD_OFF
            self._put(*self.keyboard.command(value))
        else:
            self._take(expects, value)

    def _command(self, value: int) -> None:
        if value >= Command.PULSE:
            if not value & Output.NO_RESET:
                self.on_reset()
        elif value in ANSWERS:
            self._put(ANSWERS[value](self))
        elif value in TURNS:
            clears, sets = TURNS[value]
            self.config = self.config & ~clears | sets
        elif value in TAKES:
            self._expects = value

    def test(self) -> int:
        """The self test."""
        self._status |= Status.SYSTEM
        self.config |= Config.SYSTEM
        return CONTROLLER_PASSED

    def _take(self, command: int, value: int) -> None:
        """The byte behind a command of the controller; what is for a mouse reaches nobody."""
        if command == Command.WRITE_CONFIG:
            self.config = value & 0x77
            self._status = self._status & ~Status.SYSTEM | value & Status.SYSTEM
            self._show()
        elif command == Command.WRITE_OUTPUT and not value & Output.NO_RESET:
            self.on_reset()
        elif command in (Command.WRITE_KEYBOARD_BUFFER, Command.WRITE_MOUSE_BUFFER):
            self._put(value, from_mouse=command == Command.WRITE_MOUSE_BUFFER)


ANSWERS: dict[int, Callable[[KeyboardController], int]] = {
    Command.READ_CONFIG: lambda controller: controller.config,
    Command.TEST_MOUSE: lambda _: NO_MOUSE,
    Command.SELF_TEST: KeyboardController.test,
    Command.TEST_KEYBOARD: lambda _: INTERFACE_PASSED,
    Command.READ_INPUT: lambda _: 0x80,
    Command.READ_OUTPUT: lambda _: Output.NO_RESET | Output.A20,
}
"""Commands that are answered by a byte."""
TURNS: dict[int, tuple[int, int]] = {
    Command.MOUSE_OFF: (0, Config.MOUSE_OFF),
    Command.MOUSE_ON: (Config.MOUSE_OFF, 0),
    Command.KEYBOARD_OFF: (0, Config.KEYBOARD_OFF),
    Command.KEYBOARD_ON: (Config.KEYBOARD_OFF, 0),
    Command.A20_OFF: (0, 0),
    Command.A20_ON: (0, 0),
}
"""Commands that change the command byte: what they clear, and what they set."""
TAKES = frozenset(
    {
        Command.WRITE_CONFIG,
        Command.WRITE_OUTPUT,
        Command.WRITE_KEYBOARD_BUFFER,
        Command.WRITE_MOUSE_BUFFER,
        Command.WRITE_MOUSE,
    }
)
"""Commands that want a byte at the data port."""


class ControllerPort:
    """One of the two ports, which do not follow each other."""

    name: ClassVar[str] = "keyboard"

    def __init__(self, controller: KeyboardController, register: int) -> None:
        self._controller, self._register = controller, register

    def power_on(self) -> None:
        """The whole controller is as it was when power came."""
        self._controller.power_on()

    def read(self, _register: int, byte_count: int, /) -> int:
        """IN."""
        return self._controller.read(self._register, byte_count)

    def write(self, _register: int, byte_count: int, value: int, /) -> None:
        """OUT."""
        self._controller.write(self._register, byte_count, value)
