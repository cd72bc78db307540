"""Where frames for the tables, VMCBs and overlays of a partition come from: its memory pool, or ring -1.

Stands for: ring -1's memory pools.
Spec: TLFS, "Partition Memory Pools", "HvCallDepositMemory", "HvCallWithdrawMemory", "HvCallGetMemoryBalance".
Simplified: a partition without a parent pays nothing: ring -1's own frames serve it. What has no fixed number
    of frames, shadow tables and the small pages of a dirty log, is ring -1's own for everybody.
Next: ``minihv.hypervisor.gpa_space``
"""

from typing import Protocol

from minihv.errors import ConfigurationError, InternalError
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.terms import PAGE_BYTES, PAGE_SHIFT, Spa


class FrameSource(Protocol):
    """Gives frames for what ring -1 keeps about a partition, and takes them back."""

    @property
    def available(self) -> int:
        """How many it could give now."""

    def take(self) -> Spa:
        """A frame of zeros.

        Raises:
            ConfigurationError: there is none.
        """

    def give(self, spa: int) -> None:
        """Takes a frame back."""


class MachineFrames:
    """Frames of the machine that nobody owns: they become the hypervisor's."""

    def __init__(self, memory: SystemMemory) -> None:
        self._memory = memory

    @property
    def available(self) -> int:
        """How many are free."""
        return self._memory.frames.free_count

    def take(self) -> Spa:
        """A frame of zeros."""
        return self._memory.allocate_zeroed(HYPERVISOR)

    def give(self, spa: int) -> None:
        """The frame is free again."""
        self._memory.frames.free(HYPERVISOR, spa)


class MemoryPool:
    """The frames that were deposited for one partition. Each knows which page of the donor it was."""

    def __init__(self, memory: SystemMemory) -> None:
        self._memory = memory
        self._unused: list[int] = []
        self._used: set[int] = set()
        self._origins: dict[int, int] = {}

    @property
    def available(self) -> int:
        """Frames that are not in use."""
        return len(self._unused)

    @property
    def in_use(self) -> int:
        """Frames that something was made of."""
        return len(self._used)

    @property
    def origins(self) -> dict[int, int]:
        """Every frame of the pool, used or not, with the page of the donor that it was."""
        return dict(self._origins)

    def deposit(self, spn: int, gpn: int) -> None:
        """Frame ``spn`` may be used: page ``gpn`` of the donor until now, the hypervisor's from now on."""
        self._origins[spn] = gpn
        self._unused.append(spn)

    def withdraw(self, count: int) -> list[tuple[int, int]]:
        """Takes out up to ``count`` unused frames, the last first, each with the page that it was."""
        taken = [self._unused.pop() for _ in range(min(count, len(self._unused)))]
        return [(spn, self._origins.pop(spn)) for spn in taken]

    def take(self) -> Spa:
        """A frame of zeros."""
        if not self._unused:
            raise ConfigurationError(
                "A partition's memory pool has to pay for this, and is empty: deposit more memory."
            )
        spn = self._unused.pop()
        self._used.add(spn)
        self._memory.fill_zero(spn << PAGE_SHIFT, PAGE_BYTES)
        return Spa(spn << PAGE_SHIFT)

    def give(self, spa: int) -> None:
        """The frame is unused again; one that was ring -1's own is free."""
        spn = spa >> PAGE_SHIFT
        if spn in self._used:
            self._used.remove(spn)
            self._unused.append(spn)
        elif spn in self._origins:
            raise InternalError(
                f"A frame goes back to its memory pool once, and SPA {spa:#x} is there already."
            )
        else:
            self._memory.frames.free(HYPERVISOR, spa)
