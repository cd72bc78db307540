"""The memory of a child by GVA: over pages, with the rights of its tables and of its ring."""

import pytest

from minihv.paging.access import AccessKind
from minihv.parent.linear_memory import LinearFault, LinearMemory, parts
from minihv.parent.session import ParentSession


def test_bytes_are_taken_page_by_page() -> None:
    assert list(parts(0xFFE, 5)) == [(0xFFE, 2), (0x1000, 3)]
    assert list(parts(0x1000, 0)) == []
    assert list(parts((1 << 64) - 1, 2)) == [((1 << 64) - 1, 1), (0, 1)]


def test_memory_is_that_of_the_vp_and_its_ring() -> None:
    with ParentSession("01_hello") as session:
        kernel, user = (LinearMemory(session.partition, 0, ring) for ring in (0, 3))
        places = kernel.places(0x20_0FFF, 2, AccessKind.WRITE)
        assert places == [(0x20_0FFF, 1), (0x20_1000, 1)]
        kernel.put(places, b"ab")
        assert kernel.read(0x20_0FFE, 4) == b"\0ab\0"
        assert user.read(0x20_0FFF, 2) == LinearFault(0x20_0FFF, 0b101)
        assert kernel.places(1 << 40, 1, AccessKind.WRITE) == LinearFault(1 << 40, 0b010)


def test_what_is_no_ram_reads_as_ones_and_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with ParentSession("01_hello") as session:
        memory, nowhere = LinearMemory(session.partition, 0, 0), [(1 << 39, 2)]
        monkeypatch.setattr(LinearMemory, "places", lambda *_: nowhere)
        memory.put(nowhere, b"ab")
        assert memory.read(0, 2) == b"\xff\xff"
