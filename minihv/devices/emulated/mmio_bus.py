"""Which chip answers which range of memory.

Stands for: the address decoders of a mainboard, on the memory side.
Spec: AMD APM vol. 2, "Memory-Mapped I/O".
Simplified: an access that leaves its chip's range goes to that chip all the same.
Next: ``minihv.devices.emulated.io_apic``
"""

from collections.abc import Callable
from typing import Protocol


class MemoryChip(Protocol):
    """Registers in a range of memory, by their offset from its start."""

    def load(self, offset: int, byte_count: int, /) -> int:
        """A read of 1, 2, 4 or 8 bytes."""

    def store(self, offset: int, byte_count: int, value: int, /) -> None:
        """A write of 1, 2, 4 or 8 bytes."""


class MmioBus:
    """The chips of one machine, by their ranges of GPAs. ``before`` is called with one about to answer."""

    def __init__(self) -> None:
        self.before: Callable[[MemoryChip], None] | None = None
        self._chips: list[tuple[range, MemoryChip]] = []

    def connect(self, gpa: int, byte_count: int, chip: MemoryChip) -> None:
        """``chip`` answers ``byte_count`` bytes from ``gpa`` on, whoever did before."""
        self._chips.insert(0, (range(gpa, gpa + byte_count), chip))

    @property
    def chips(self) -> list[MemoryChip]:
        """Every chip."""
        return [chip for _, chip in self._chips]

    def answers(self, gpa: int) -> bool:
        """Whether a chip is there."""
        return any(gpa in where for where, _ in self._chips)

    def load(self, gpa: int, byte_count: int) -> int:
        """A read; all ones where nobody answers."""
        found = self._find(gpa)
        value = -1 if found is None else found[0].load(found[1], byte_count)
        return value & (1 << 8 * byte_count) - 1

    def store(self, gpa: int, byte_count: int, value: int) -> None:
        """A write; lost where nobody answers."""
        found = self._find(gpa)
        if found is not None:
            found[0].store(found[1], byte_count, value & (1 << 8 * byte_count) - 1)

    def _find(self, gpa: int) -> tuple[MemoryChip, int] | None:
        """The chip in front at ``gpa``, and the offset in its range."""
        for where, chip in self._chips:
            if gpa in where:
                if self.before is not None:
                    self.before(chip)
                return chip, gpa - where.start
        return None
