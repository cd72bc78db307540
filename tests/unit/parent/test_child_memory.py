"""The RAM of a child for its VSPs: only what it may read and write, and rings in place count as written."""

import numpy as np
import pytest

from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.memory import SystemMemory
from minihv.parent.child_memory import ChildRam
from minihv.spec.hypercalls import MapFlags
from minihv.terms import MIB, PAGE_BYTES, Gpa

OWNER = 2


@pytest.fixture
def memory() -> SystemMemory:
    return SystemMemory(16 * MIB)


@pytest.fixture
def space(memory: SystemMemory) -> GpaSpace:
    made = GpaSpace(memory, OWNER)
    made.add_ram(2 * MIB)
    return made


def test_ram_is_what_the_child_may_write(memory: SystemMemory, space: GpaSpace) -> None:
    spa = memory.allocate_zeroed(OWNER, 1)
    space.map_pages(600, np.array([spa >> 12], dtype=np.uint32), int(MapFlags.READ))
    overlay = memory.allocate_zeroed(OWNER, 1)
    space.lay_over(Gpa(5 * PAGE_BYTES), overlay, "overlay")
    ram = ChildRam(space, memory)
    wanted = {
        0: True,
        511: True,
        512: False,
        600: False,
        5: False,
        -1: False,
        1 << 52: False,
        (1 << 64) - 1: False,
    }
    assert {gpn: ram.is_ram(gpn) for gpn in wanted} == wanted


def test_bytes_are_those_of_the_child(memory: SystemMemory, space: GpaSpace) -> None:
    ram = ChildRam(space, memory)
    ram.write(PAGE_BYTES - 2, b"four")
    assert space.read(PAGE_BYTES - 2, 4) == ram.read(PAGE_BYTES - 2, 4) == b"four"


def test_ring_is_used_in_place_and_marks_its_pages(memory: SystemMemory, space: GpaSpace) -> None:
    ram, reader = ChildRam(space, memory), space.dirty_log.reader()
    reader.take()
    pages = ram.ring([7, 3, 9])
    pages.write(PAGE_BYTES - 2, b"four")
    assert space.read(8 * PAGE_BYTES - 2, 2) == b"fo" and space.read(3 * PAGE_BYTES, 2) == b"ur"
    assert reader.take().gpns() == [3, 7]
