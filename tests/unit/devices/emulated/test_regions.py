"""The walk of a table of regions, by itself: where it goes on, and what it refuses."""

import struct

from minihv.devices.emulated.regions import Cursor, Walk, walk
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.memory import SystemMemory
from minihv.parent.child_memory import ChildRam
from minihv.terms import MIB


def ram(*entries: tuple[int, int, int]) -> ChildRam:
    """2 MiB with a table at 0x1000."""
    memory = SystemMemory(8 * MIB)
    space = GpaSpace(memory, 2)
    space.add_ram(2 * MIB)
    made = ChildRam(space, memory)
    made.write(0x1000, b"".join(struct.pack("<IHH", *entry) for entry in entries))
    return made


def test_walk_stops_inside_a_region_and_goes_on_from_there() -> None:
    table = ram((0x2000, 100, 0), (0x3000, 50, 0x8000))
    first = walk(table, Cursor(0x1000), 60)
    assert first == Walk(((0x2000, 60),), Cursor(0x1008, 0x203C, 40))
    assert first is not None
    second = walk(table, first.behind, 70)
    assert second is not None and second.pieces == ((0x203C, 40), (0x3000, 30))
    assert not second.behind.is_spent
    third = walk(table, second.behind, 1000)
    assert third is not None and third.pieces == ((0x301E, 20),) and third.behind.is_spent


def test_entry_that_is_not_needed_is_not_looked_at() -> None:
    table = ram((0x2000, 100, 0), (0xFFFF_0000, 50, 0x8000))
    assert walk(table, Cursor(0x1000), 100) is not None
    assert walk(table, Cursor(0x1000), 101) is None


def test_odd_bits_of_base_and_count_are_none() -> None:
    found = walk(ram((0x2001, 101, 0xFFFF)), Cursor(0x1000), 1000)
    assert found is not None and found.pieces == ((0x2000, 100),)
