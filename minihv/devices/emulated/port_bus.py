"""The bus of a mainboard: which chip answers which port, its interrupt lines, and how chips reach memory.

Stands for: the address decoders of a mainboard, and the interrupt lines beside them.
Spec: Intel SDM vol. 1, "Input/Output"; "ISA System Architecture": IRQ 0 to 15.
Simplified: an access wider than its chip's register goes to the first one alone.
Next: ``minihv.devices.emulated.ide_channel``
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from minihv.devices.emulated.interrupt_lines import Line

OPEN_BUS = 0xFFFF_FFFF
"""What a read finds where nobody answers."""
LINES = 16


class Chip(Protocol):
    """Registers at ports that follow each other, the first being 0."""

    def read(self, register: int, byte_count: int, /) -> int:
        """IN of 1, 2 or 4 bytes."""

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT of 1, 2 or 4 bytes."""


class Ram(Protocol):
    """The memory of the machine, for chips that reach it by themselves."""

    def is_ram(self, gpn: int, /) -> bool:
        """Whether the page can be read and written."""

    def read(self, gpa: int, byte_count: int, /) -> bytes:
        """Bytes of pages that are RAM."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Writes to pages that are RAM."""


@runtime_checkable
class Powered(Protocol):
    """A chip with something to forget."""

    def power_on(self) -> None:
        """It is as it was when power came."""


class PortBus:
    """The chips of one machine, by their ports, and its interrupt ``lines``, which any chip may raise.

    ``ram`` is its memory, once it has some. ``before`` is called with a chip that is about to answer.
    """

    def __init__(self) -> None:
        self.ram: Ram | None = None
        self.before: Callable[[Chip], None] | None = None
        self.lines = [Line() for _ in range(LINES)]
        self._chips: dict[int, list[tuple[Chip, int]]] = {}
        self._reserved: set[int] = set()

    def connect(self, first: int, count: int, chip: Chip) -> None:
        """``chip`` answers ``count`` ports from ``first`` on, in front of whoever did before."""
        for register in range(count):
            self._chips.setdefault(first + register, []).append((chip, register))

    def disconnect(self, chip: Chip) -> None:
        """``chip`` answers no port any more; those answer again that were behind it."""
        for port, chips in list(self._chips.items()):
            chips[:] = [one for one in chips if one[0] is not chip]
            if not chips:
                del self._chips[port]

    def reserve(self, first: int, count: int) -> None:
        """Chips may come to these ports later."""
        self._reserved.update(range(first, first + count))

    @property
    def chips(self) -> list[Chip]:
        """Every chip, once."""
        return list({id(chip): chip for chips in self._chips.values() for chip, _ in chips}.values())

    def power_on(self) -> None:
        """All chips are as they were when power came."""
        for chip in self.chips:
            if isinstance(chip, Powered):
                chip.power_on()

    @property
    def ports(self) -> Iterator[int]:
        """The ports that somebody answers, or may answer some day."""
        yield from sorted(self._reserved.union(self._chips))

    def read(self, port: int, byte_count: int) -> int:
        """IN."""
        found = self._find(port)
        value = OPEN_BUS if found is None else found[0].read(found[1], byte_count)
        return value & (1 << 8 * byte_count) - 1

    def write(self, port: int, byte_count: int, value: int) -> None:
        """OUT."""
        found = self._find(port)
        if found is not None:
            found[0].write(found[1], byte_count, value & (1 << 8 * byte_count) - 1)

    def _find(self, port: int) -> tuple[Chip, int] | None:
        """The chip in front at ``port``, and the number of its register."""
        chips = self._chips.get(port)
        if chips is None:
            return None
        if self.before is not None:
            self.before(chips[-1][0])
        return chips[-1]
