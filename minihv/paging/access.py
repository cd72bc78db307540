"""Who touches memory and how, the registers that steer a walk, and what a walk tells its observer.

Stands for: the inputs of the page-miss handler.
Spec: AMD APM vol. 2, "Page-Protection Checks"; Intel SDM vol. 3A, "Determination of Access Rights".
Simplified: no protection keys, no shadow stacks, no memory types.
Twin: ``native/core/include/minihv/walk.h``.
Next: ``minihv.paging.walk``
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Protocol

from minihv.spec.x86_paging import FRAME, NO_EXECUTE


class AccessKind(IntEnum):
    """What an access does."""

    READ = 0
    WRITE = 1
    EXECUTE = 2


@dataclass(frozen=True, slots=True)
class Access:
    """One access to memory, as far as translation is concerned."""

    kind: AccessKind = AccessKind.READ
    user: bool = False
    """The current privilege level is 3."""
    ac: bool = False
    """RFLAGS.AC: a supervisor asks to be let through SMAP."""
    implicit: bool = False
    """The processor's own access to a system structure: a supervisor's, and deaf to AC."""

    @property
    def by_user(self) -> bool:
        """Whether the access counts as one of ring 3."""
        return self.user and not self.implicit


@dataclass(frozen=True, slots=True)
class Paging:
    """The registers that steer one stage of translation."""

    root: int
    """CR3 or nested CR3; bits 51:12 are the address of the first table."""
    levels: int = 4
    """4 or 5; 0, of the first of two stages: CR0.PG is 0, and a GVA is a GPA."""
    physical_bits: int = 52
    """Width of a physical address, 32 to 52; address bits above it are reserved in every entry."""
    nxe: bool = True
    wp: bool = True
    smep: bool = False
    smap: bool = False

    @property
    def reserved(self) -> int:
        """The bits that must be 0 in an entry of any level."""
        too_wide = FRAME & -(1 << self.physical_bits)
        return too_wide if self.nxe else too_wide | NO_EXECUTE


class StageName(Enum):
    """Whose tables are being walked."""

    GUEST = "guest"
    SECOND = "second"
    SHADOW = "shadow"
    """Ring -1's tables that stand for both stages in one: from a GVA to an SPA."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry read by a walk: the ``number``-th, from 1, counted over both stages."""

    number: int
    stage: StageName
    level: int
    entry_pa: int
    """Where it was read: a physical address of the machine (an SPA in a two-stage walk)."""
    entry: int
    """As it was before the walk set A or D in it."""


Observe = Callable[[Reference], None]


class PhysicalMemory(Protocol):
    """Where tables lie. A read outside gives all ones, a write outside vanishes."""

    def read_u64(self, spa: int, /) -> int:
        """Eight bytes, little-endian, at a multiple of 8."""

    def write_u64(self, spa: int, value: int, /) -> None:
        """Eight bytes, little-endian, at a multiple of 8."""


class WritesAside:
    """Physical memory as ``memory`` has it, for walks that leave no mark: what they write is kept aside."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self.written: dict[int, int] = {}

    def read_u64(self, spa: int) -> int:
        """Eight bytes at ``spa``, as they were or as they were written here."""
        return self.written[spa] if spa in self.written else self._memory.read_u64(spa)

    def write_u64(self, spa: int, value: int) -> None:
        """Eight bytes for whoever reads here."""
        self.written[spa] = value


class BufferMemory:
    """Physical memory from address 0 over a writable buffer, for tables that belong to no machine."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self._bytes = memoryview(view).cast("B")
        self.byte_count = len(self._bytes)

    def read_u64(self, spa: int) -> int:
        """Eight bytes at ``spa``; all ones where no memory is."""
        if spa + 8 > self.byte_count:
            return 0xFFFF_FFFF_FFFF_FFFF
        return int.from_bytes(self._bytes[spa : spa + 8], "little")

    def write_u64(self, spa: int, value: int) -> None:
        """Eight bytes at ``spa``; lost where no memory is."""
        if spa + 8 <= self.byte_count:
            self._bytes[spa : spa + 8] = value.to_bytes(8, "little")

    def fill_zero(self, spa: int, byte_count: int) -> None:
        """Zeros from ``spa`` on, as far as memory goes."""
        end = min(spa + byte_count, self.byte_count)
        self._bytes[spa:end] = bytes(max(0, end - spa))
