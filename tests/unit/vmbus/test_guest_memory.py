import pytest

from minihv.errors import AccessError
from minihv.vmbus.guest_memory import FlatMemory


@pytest.mark.parametrize(("gpn", "is_ram"), [(0, True), (3, True), (4, False), (-1, False), (1 << 63, False)])
def test_pages_of_the_buffer_are_ram(gpn: int, is_ram: bool) -> None:
    assert FlatMemory(4).is_ram(gpn) is is_ram


def test_what_was_written_is_read_and_noted() -> None:
    memory = FlatMemory(4)
    memory.write(0x1FFE, b"four")
    assert memory.read(0x1FFE, 4) == b"four"
    assert memory.written == {1, 2}


def test_a_ring_is_the_pages_themselves_in_their_order() -> None:
    memory = FlatMemory(4)
    ring = memory.ring([3, 1])
    ring.write(0xFFF, b"ab")
    assert memory.read(0x3FFF, 1) == b"a" and memory.read(0x1000, 1) == b"b"
    assert memory.written == {1, 3}


def test_bytes_outside_are_not_read() -> None:
    with pytest.raises(AccessError) as refusal:
        FlatMemory(1).read(0xFFF, 2)
    assert str(refusal.value) == (
        "RAM ends at GPA 0x1000, and 0x2 bytes at 0xfff lie outside: ask `is_ram` first."
    )
