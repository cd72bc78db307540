"""System physical memory: one run of bytes, seen without a copy, and the door for writing to it.

Stands for: the DIMMs and their controller.
Spec: none; addresses are SPAs from 0.
Simplified: no holes and no ROM.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minihv.errors import AccessError, ConfigurationError
from minihv.machine.frames import FrameAllocator
from minihv.machine.native import ffi, lib
from minihv.terms import MIB, PAGE_BYTES, PAGE_SHIFT, Spa

SMALLEST, LARGEST = 1 * MIB, 64 * 1024 * MIB


class SystemMemory:
    """``byte_count`` bytes of physical memory with its frame allocator.

    ``view`` is all of it as a NumPy array, for reading. Writing goes through ``write``: it also makes
    the processor forget the code that it had translated from there.
    """

    def __init__(self, byte_count: int) -> None:
        if byte_count % PAGE_BYTES or not SMALLEST <= byte_count <= LARGEST:
            raise ConfigurationError(
                f"System memory must be a multiple of 4 KiB from 1 MiB to 64 GiB, not {byte_count} bytes: "
                "choose a size in that range."
            )
        self.handle = lib.mhv_memory_create(byte_count)
        if self.handle == ffi.NULL:
            raise ConfigurationError(
                f"The host did not give {byte_count >> 20} MiB of memory: ask for less, or raise its limits."
            )
        self.byte_count = byte_count
        self._buffer: Any = ffi.buffer(self.handle.bytes, byte_count)
        self.view: NDArray[np.uint8] = np.frombuffer(self._buffer, dtype=np.uint8)
        self.frames = FrameAllocator(byte_count >> PAGE_SHIFT)

    def close(self) -> None:
        """Gives the memory back to the host. Nothing may use ``view`` afterwards."""
        if self.handle != ffi.NULL:
            lib.mhv_memory_destroy(self.handle)
            self.handle = ffi.NULL

    def allocate_zeroed(self, owner: int, count: int = 1, *, align: int = 1) -> Spa:
        """A run of ``count`` frames, now of ``owner``, all zeros.

        The host gives zeros, and nobody writes to a frame that is not theirs; so only frames that had an
        owner before are written.

        Raises:
            ConfigurationError: no such run is free.
        """
        spa = self.frames.allocate(owner, count, align=align)
        first = spa >> PAGE_SHIFT
        used = np.flatnonzero(self.frames.used[first : first + count])
        for run in np.split(used, np.flatnonzero(np.diff(used) > 1) + 1):
            if len(run):
                self.fill_zero(spa + int(run[0]) * PAGE_BYTES, len(run) * PAGE_BYTES)
        return spa

    def read(self, spa: int, byte_count: int) -> bytes:
        """``byte_count`` bytes at ``spa``.

        Raises:
            AccessError: they do not all lie in memory.
        """
        self._check(spa, byte_count)
        return bytes(self._buffer[spa : spa + byte_count])

    def write(self, spa: int, data: bytes | bytearray | memoryview) -> None:
        """Writes ``data`` at ``spa``, as a device would.

        Raises:
            AccessError: the range does not all lie in memory.
        """
        self._check(spa, len(data))
        lib.mhv_memory_write(self.handle, spa, ffi.from_buffer("uint8_t *", data), len(data))

    def touch(self, spa: int, byte_count: int) -> None:
        """Makes the processor forget code of these bytes, which somebody wrote through ``view``."""
        self._check(spa, byte_count)
        lib.mhv_memory_touch(self.handle, spa, byte_count)

    def fill_zero(self, spa: int, byte_count: int) -> None:
        """Writes ``byte_count`` zeros at ``spa``."""
        self.touch(spa, byte_count)
        self.view[spa : spa + byte_count] = 0

    def read_u64(self, spa: int) -> int:
        """Eight bytes at ``spa``, little-endian; all ones where no memory is, as on an open bus."""
        if not 0 <= spa <= self.byte_count - 8:
            return 0xFFFF_FFFF_FFFF_FFFF
        return int.from_bytes(self._buffer[spa : spa + 8], "little")

    def write_u64(self, spa: int, value: int) -> None:
        """Eight bytes at ``spa``, little-endian; lost where no memory is."""
        if 0 <= spa <= self.byte_count - 8:
            self.write(spa, value.to_bytes(8, "little"))

    def _check(self, spa: int, byte_count: int) -> None:
        if not 0 <= spa <= self.byte_count or not 0 <= byte_count <= self.byte_count - spa:
            raise AccessError(
                f"System memory ends at SPA {self.byte_count:#x}, and {byte_count} bytes at SPA {spa:#x} do "
                "not lie in it: check the address."
            )
