"""The sides of a comparison: a child of minihv, the engine bare, and the engine's own Python binding.

Each executes a listing in memory of its own, again and again, and keeps its translated code between.

Next: ``minihv.cli.bench.loops``
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType, TracebackType
from typing import Any, Self

from minihv.cli.bench.loops import CODE, Listing
from minihv.errors import InternalError
from minihv.guests.image import Image, Segment
from minihv.guests.session import load
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.states import VpState
from minihv.machine.engine import engine_api
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.terms import MIB, Gpa, Gva

DEFAULT_BYTES = 4 * MIB


def image_of(listing: Listing) -> Image:
    """``listing`` as a guest that the boot contract can load."""
    segment = Segment(
        gva=Gva(CODE),
        gpa=Gpa(CODE),
        content=listing.code,
        memory_bytes=len(listing.code),
        readable=True,
        writable=False,
        executable=True,
    )
    return Image("bench", Gva(CODE), (segment,), (), MappingProxyType({}), paging_levels=4)


class Closing(ABC):
    """What is closed at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Gives everything back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.close()


def create_child(hypervisor: Hypervisor, listing: Listing, memory_bytes: int) -> Partition:
    """A partition with ``listing`` in it, about to execute it once."""
    partition = hypervisor.create_partition("bench", memory_bytes)
    load(partition, image_of(listing), memory_bytes)
    partition.vps[0].write("rcx", 1)
    return partition


class Child(Closing):
    """A partition of minihv with one VP, under the whole policy of ring -1."""

    def __init__(
        self,
        listing: Listing,
        memory_bytes: int = DEFAULT_BYTES,
        paging: PagingMode = PagingMode.SLAT,
    ) -> None:
        frames = ShadowOptions().frames_for(memory_bytes)
        self.hypervisor = Hypervisor(machine_bytes(memory_bytes, shadow_frames=frames), paging=paging)
        self.partition = create_child(self.hypervisor, listing, memory_bytes)
        self.vp = self.partition.vps[0]

    def close(self) -> None:
        """Gives the machine back."""
        self.hypervisor.close()

    def run(self, count: int) -> None:
        """Executes ``count`` iterations, to the HLT behind them."""
        self.enter(count)
        self.hypervisor.run()
        self.check_halted()

    def enter(self, count: int) -> None:
        """The VP is about to execute ``count`` iterations."""
        self.vp.write("rip", CODE)
        self.vp.write("rcx", count)
        self.vp.state = VpState.READY

    def check_halted(self) -> None:
        """It has executed them all, or this was no measurement."""
        if self.vp.state is not VpState.HALTED:
            raise InternalError(
                f"A loop of the bench ended {self.vp.state.value} and not halted: please report it."
            )


class Bare(Closing):
    """The engine alone, with the least that executes a listing: ``native/core/src/bare.c``."""

    def __init__(self, listing: Listing, memory_bytes: int = DEFAULT_BYTES) -> None:
        self.memory = SystemMemory(memory_bytes)
        self.memory.write(CODE, listing.code)
        self.handle = lib.mhv_bare_create(engine_api(), self.memory.handle.bytes, memory_bytes)
        if self.handle == ffi.NULL:
            self.memory.close()
            raise InternalError("The engine does not run alone here, so there is nothing to compare with.")
        self._counters = ffi.new("struct mhv_bare_counters *")

    def close(self) -> None:
        """Gives the engine and its memory back."""
        lib.mhv_bare_destroy(self.handle)
        self.memory.close()

    def run(self, count: int) -> None:
        """Executes ``count`` iterations, to the HLT behind them."""
        if not lib.mhv_bare_run(self.handle, CODE, count):
            raise InternalError(
                "A loop of the bench did not end in HLT on the bare engine: please report it."
            )

    @property
    def counters(self) -> Any:
        """How often its hooks were called so far, as a ``struct mhv_bare_counters``."""
        lib.mhv_bare_count(self.handle, self._counters)
        return self._counters


class Binding(Closing):
    """The engine under its own Python package, as anybody would write it, with ``hook`` on CPUID.

    The package is imported by name: minihv builds on it in one module only, and here it is the peer.
    """

    def __init__(self, listing: Listing, hook: Callable[[Any, Any], bool]) -> None:
        unicorn: Any = import_module("unicorn")
        x86: Any = import_module("unicorn.x86_const")
        self._rcx = x86.UC_X86_REG_RCX
        self._end = CODE + len(listing.code)
        self.engine: Any = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.engine.mem_map(CODE, MIB)
        self.engine.mem_write(CODE, listing.code)
        self.engine.hook_add(unicorn.UC_HOOK_INSN, hook, None, 1, 0, x86.UC_X86_INS_CPUID)

    def close(self) -> None:
        """The package frees the engine with the object."""
        del self.engine

    def run(self, count: int) -> None:
        """Executes ``count`` iterations, to the HLT behind them."""
        self.engine.reg_write(self._rcx, count)
        self.engine.emu_start(CODE, self._end)
