"""Which chip answers which range of memory.

Stands for: the address decoders of a mainboard, on the memory side.
Spec: AMD APM vol. 2, "Memory-Mapped I/O".
Simplified: an access that leaves its chip's range goes to that chip all the same.
Next: ``minihv.devices.emulated.io_apic``
"""

from typing import Protocol


class MemoryChip(Protocol):
    """Registers in a range of memory, by their offset from its start."""

    def load(self, offset: int, byte_count: int, /) -> int:
        """A read of 1, 2, 4 or 8 bytes."""

    def store(self, offset: int, byte_count: int, value: int, /) -> None:
        """A write of 1, 2, 4 or 8 bytes."""


class MmioBus:
    """The chips of one machine, by their ranges of GPAs."""

    def __init__(self) -> None:
        self._chips: list[tuple[range, MemoryChip]] = []

    def connect(self, gpa: int, byte_count: int, chip: MemoryChip) -> None:
        """``chip`` answers ``byte_count`` bytes from ``gpa`` on, whoever did before."""
        self._chips.insert(0, (range(gpa, gpa + byte_count), chip))

    def answers(self, gpa: int) -> bool:
        """Whether a chip is there."""
        return any(gpa in where for where, _ in self._chips)

    def load(self, gpa: int, byte_count: int) -> int:
        """A read; all ones where nobody answers."""
        for where, chip in self._chips:
            if gpa in where:
                return chip.load(gpa - where.start, byte_count) & (1 << 8 * byte_count) - 1
        return (1 << 8 * byte_count) - 1

    def store(self, gpa: int, byte_count: int, value: int) -> None:
        """A write; lost where nobody answers."""
        for where, chip in self._chips:
            if gpa in where:
                chip.store(gpa - where.start, byte_count, value & (1 << 8 * byte_count) - 1)
                return
