"""The inputs of a walk."""

import numpy as np

from minihv.paging.access import Access, AccessKind, BufferMemory, Paging, WritesAside

ALL_ONES = (1 << 64) - 1


def test_implicit_access_of_ring_3_counts_as_the_supervisors() -> None:
    assert Access(user=True).by_user
    assert not Access(user=True, implicit=True).by_user


def test_address_bits_above_the_physical_width_are_reserved() -> None:
    assert Paging(0, physical_bits=40).reserved == 0x000F_FF00_0000_0000
    assert Paging(0, physical_bits=52).reserved == 0


def test_no_execute_is_reserved_unless_enabled() -> None:
    assert Paging(0, physical_bits=52, nxe=False).reserved == 1 << 63


def test_reads_and_a_plain_read_is_the_default() -> None:
    assert Access() == Access(AccessKind.READ, user=False, ac=False, implicit=False)


def test_memory_is_little_endian() -> None:
    memory = BufferMemory(np.zeros(16, dtype=np.uint8))
    memory.write_u64(8, 0x0102)
    assert memory.view[8:10].tolist() == [2, 1]
    assert memory.read_u64(8) == 0x0102


def test_read_outside_memory_gives_all_ones() -> None:
    memory = BufferMemory(bytearray(16))
    assert (memory.read_u64(16), memory.read_u64(1 << 51)) == (ALL_ONES, ALL_ONES)


def test_write_outside_memory_vanishes() -> None:
    memory = BufferMemory(bytearray(16))
    memory.write_u64(16, 1)
    assert bytes(memory.view) == bytes(16)


def test_zeros_are_written_as_far_as_memory_goes() -> None:
    memory = BufferMemory(bytearray(b"\xff" * 16))
    memory.fill_zero(8, 4096)
    memory.fill_zero(4096, 4096)
    assert bytes(memory.view) == b"\xff" * 8 + bytes(8)


def test_writes_that_are_kept_aside_are_read_back_and_leave_memory_alone() -> None:
    memory = BufferMemory(np.zeros(16, dtype=np.uint8))
    memory.write_u64(0, 5)
    aside = WritesAside(memory)
    aside.write_u64(8, 7)
    assert [aside.read_u64(spa) for spa in (0, 8, 16)] == [5, 7, ALL_ONES]
    assert memory.read_u64(8) == 0 and aside.written == {8: 7}
