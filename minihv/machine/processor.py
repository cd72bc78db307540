"""The emulated processor and the virtual processors that it can be switched to.

Stands for: an AMD processor with SVM, and the part of ring -1 around VMRUN.
Spec: AMD APM vol. 2, "Secure Virtual Machine".
Simplified: one engine executes all logical processors in turn; that alone makes locked instructions atomic.
Twin: the run loop is C alone (``native/core/src/run.c``); the walk it calls is C or this package's Python.
Next: ``minihv.hypervisor.hypervisor``
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, IntEnum
from typing import Any

from minihv.errors import ConfigurationError, InternalError, nearest
from minihv.machine.engine import engine_api, engine_message
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.machine.reference import ReferenceWalker
from minihv.paging.native_tlb import Tlb
from minihv.paging.tlb_parts import TlbShape
from minihv.terms import HUGE_PAGE_BYTES, PAGE_BYTES, Gva, Spa


class Stop(IntEnum):
    """Why a run came back."""

    BUDGET = lib.MHV_STOP_BUDGET
    EXIT = lib.MHV_STOP_EXIT
    ENGINE = lib.MHV_STOP_ENGINE
    WATCH = lib.MHV_STOP_WATCH
    DELIVERED = lib.MHV_STOP_DELIVERED


ENGINE = int(Stop.ENGINE)


class PagingMode(Enum):
    """Who serves a miss of the TLB."""

    SLAT = "slat"
    HARDWARE = "hardware"
    SHADOW = "shadow"

    @classmethod
    def named(cls, name: str) -> "PagingMode":
        """The mode called ``name``, or a refusal that lists them."""
        for mode in cls:
            if mode.value == name:
                return mode
        names = [mode.value for mode in cls]
        raise ConfigurationError(
            f"The paging mode must be one of {', '.join(names)}, not {name!r}{nearest(name, names) or '.'}"
        )


class Core(Enum):
    """Who walks page tables: the C twin, or the Python reference that the book prints."""

    NATIVE = "native"
    REFERENCE = "reference"

    @classmethod
    def chosen(cls) -> "Core":
        """What ``MINIHV_CORE`` asks for; native when it says nothing."""
        name = os.environ.get("MINIHV_CORE", "") or "native"
        for core in cls:
            if core.value == name:
                return core
        raise ConfigurationError(
            f"MINIHV_CORE must be native or reference, not {name!r}: unset it for the fast default."
        )


class Processor:
    """The processor of one machine. ``close`` it, or use it as a context manager."""

    def __init__(
        self, memory: SystemMemory, paging: PagingMode = PagingMode.SLAT, core: Core | None = None
    ) -> None:
        self.memory = memory
        self.paging = paging
        self.core = core or Core.chosen()
        self._walker: ReferenceWalker | None = None
        self._tlb: Tlb | None = None
        stub_spa = memory.frames.allocate(HYPERVISOR, 3)
        host_root = identity_tables(memory) if paging is PagingMode.HARDWARE else 0
        mode = getattr(lib, f"MHV_PAGING_{paging.name}")
        error = ffi.new("int *")
        self.handle = lib.mhv_processor_create(engine_api(), memory.handle, mode, stub_spa, host_root, error)
        if self.handle == ffi.NULL:
            raise refused_engine(error[0])
        if self.core is Core.REFERENCE:
            self._walker = ReferenceWalker(memory)
            lib.mhv_processor_set_walker(self.handle, self._walker.handle)

    def close(self) -> None:
        """Gives the engine back. Virtual processors of this processor must be gone."""
        if self.handle != ffi.NULL:
            lib.mhv_processor_destroy(self.handle)
            self.handle = ffi.NULL

    def __enter__(self) -> "Processor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_vp(self, index: int, vmcb_spa: Spa) -> Any:
        """A ``struct mhv_vp *`` whose VMCB is the frame at ``vmcb_spa``; destroy it with ``destroy_vp``."""
        vp = lib.mhv_vp_create(self.handle, vmcb_spa)
        if vp == ffi.NULL:
            raise ConfigurationError("The host has no memory left for another virtual processor: run fewer.")
        vp.index = index
        return vp

    def destroy_vp(self, vp: Any) -> None:
        """Frees what ``create_vp`` made."""
        lib.mhv_vp_destroy(self.handle, vp)

    def model_tlb(self, shape: TlbShape) -> Tlb:
        """Puts a modelled TLB in front of the walk, and gives it back for its counters.

        From now on ``tlb_fills`` and ``walk_references`` are those of its misses, and runs are slower.

        Raises:
            ConfigurationError: somebody else than the core's own walk serves misses.
        """
        if self.core is not Core.NATIVE or self.paging is PagingMode.HARDWARE:
            raise ConfigurationError(
                "A modelled TLB stands in front of the core's own walk, and here misses are served by "
                f"{'the Python walk' if self.core is Core.REFERENCE else 'the MMU of the engine'}: "
                "unset MINIHV_CORE, and choose paging mode slat or shadow."
            )
        self._tlb = Tlb(self.memory, shape)
        lib.mhv_processor_set_tlb(self.handle, self._tlb.handle)
        return self._tlb

    def run(self, vp: Any, until_block: int) -> int:
        """Runs ``vp`` until an exit, or until its block counter reaches ``until_block``. A ``Stop``.

        With ``vp.watches`` set it also comes back where a block begins that has ``vp.watched_rip`` in it.
        """
        stop: int = lib.mhv_processor_run(self.handle, vp, until_block)
        if stop == ENGINE or self._walker is not None:
            self._check(stop)
        return stop

    def step(self, vp: Any) -> int:
        """Executes one instruction of ``vp``, or one iteration of a repeated one. A ``Stop``, as a number."""
        stop: int = lib.mhv_processor_step(self.handle, vp)
        self._check(stop)
        return stop

    def complete_port(self, vp: Any) -> int:
        """Finishes the port access that made ``vp`` exit; IN gets ``vp.port_access.value``. A ``Stop``."""
        stop: int = lib.mhv_vp_complete_port(self.handle, vp)
        self._check(stop)
        return stop

    def save(self, vp: Any) -> None:
        """Completes the state-save area of the VMCB of ``vp``."""
        lib.mhv_vp_save(self.handle, vp)

    @property
    def is_executing(self) -> bool:
        """Whether a VP is being executed now: asked by another thread, or by what the engine calls."""
        return bool(lib.mhv_processor_is_executing(self.handle))

    def flush(self) -> None:
        """Forgets every translation, after second-level tables were changed."""
        lib.mhv_processor_flush(self.handle)

    def translate(self, vp: Any, gva: Gva, kind: int, *, user: bool = False) -> Any:
        """What a walk finds for an access of ``vp`` now, as a ``struct mhv_walk_result``."""
        access = ffi.new("struct mhv_access *", {"kind": kind, "user": user})
        result = ffi.new("struct mhv_walk_result *")
        lib.mhv_vp_translate(self.handle, vp, gva, access, result)
        return result

    def walk_failed(self, failure: BaseException) -> None:
        """Python that stands in for the core has raised ``failure``; the run that called it will say so."""
        if self._walker is not None:
            self._walker.failed(failure)

    def _check(self, stop: int) -> None:
        if self._walker is not None:
            self._walker.raise_if_failed()
        if stop == ENGINE:
            error = lib.mhv_processor_engine_error(self.handle)
            raise InternalError(
                f"The engine stopped for no reason that the core knows (error {error}, "
                f"{engine_message(error)!r}): please report the guest that did this."
            )


def refused_engine(error: int) -> ConfigurationError:
    """Why no processor could be made: the engine said so, or its layout is not the proven one."""
    if error:
        return ConfigurationError(
            f"The engine could not be opened ({engine_message(error)}): run minihv doctor."
        )
    return ConfigurationError(
        "This build of Unicorn keeps processor state where minihv does not find it: "
        "run pip install 'unicorn==2.1.4', the release it was proven with."
    )


def identity_tables(memory: SystemMemory) -> Spa:
    """Host page tables that map the first 512 GiB to themselves in pages of 1 GiB; the root's SPA."""
    root = memory.frames.allocate(HYPERVISOR, 2)
    pointers = Spa(root + PAGE_BYTES)
    present_writable_user, large = 0x7, 0x80
    memory.fill_zero(root, 2 * PAGE_BYTES)
    memory.write_u64(root, pointers | present_writable_user)
    for index in range(512):
        memory.write_u64(pointers + 8 * index, index * HUGE_PAGE_BYTES | present_writable_user | large)
    return root


@contextmanager
def processor(memory: SystemMemory, paging: PagingMode = PagingMode.SLAT) -> Iterator[Processor]:
    """A processor that is closed at the end of the block."""
    made = Processor(memory, paging)
    try:
        yield made
    finally:
        made.close()
