"""Which chip answers which port.

Stands for: the address decoders of a mainboard.
Spec: Intel SDM vol. 1, "Input/Output".
Simplified: an access wider than its chip's register goes to the first one alone.
Next: ``minihv.devices.emulated.ide_channel``
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

OPEN_BUS = 0xFFFF_FFFF
"""What a read finds where nobody answers."""


class Chip(Protocol):
    """Registers at ports that follow each other, the first being 0."""

    def read(self, register: int, byte_count: int, /) -> int:
        """IN of 1, 2 or 4 bytes."""

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT of 1, 2 or 4 bytes."""


@runtime_checkable
class Powered(Protocol):
    """A chip with something to forget."""

    def power_on(self) -> None:
        """It is as it was when power came."""


class PortBus:
    """The chips of one machine, by their ports. ``before`` is called with a chip that is about to answer."""

    def __init__(self) -> None:
        self.before: Callable[[Chip], None] | None = None
        self._chips: dict[int, tuple[Chip, int]] = {}

    def connect(self, first: int, count: int, chip: Chip) -> None:
        """``chip`` answers ``count`` ports from ``first`` on, whoever did before."""
        for register in range(count):
            self._chips[first + register] = chip, register

    @property
    def chips(self) -> list[Chip]:
        """Every chip, once."""
        return list({id(chip): chip for chip, _ in self._chips.values()}.values())

    def power_on(self) -> None:
        """All chips are as they were when power came."""
        for chip in self.chips:
            if isinstance(chip, Powered):
                chip.power_on()

    @property
    def ports(self) -> Iterator[int]:
        """The ports that somebody answers."""
        yield from sorted(self._chips)

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
        """The chip at ``port``, and the number of its register."""
        found = self._chips.get(port)
        if found is not None and self.before is not None:
            self.before(found[0])
        return found
