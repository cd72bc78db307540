"""The short way of a C walk of two stages, over few pages that are used again and again."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging import native
from minihv.paging.access import Access, AccessKind, BufferMemory
from minihv.paging.nested import nested_walk
from minihv.spec.x86_paging import ACCESSED, DIRTY, NO_EXECUTE, PRESENT, USER, WRITABLE
from minihv.testing import PageTable, Shares, copy_of, memory_of

RAM_SPA, GPA_BYTES = 0x20_0000, 0x40_0000
GVA, PAGE_COUNT = 0x1234_4560_0000, 8
BITS = [PRESENT, WRITABLE, USER, ACCESSED, DIRTY, NO_EXECUTE, 1 << 51]
FLOORS = {"NestedMapping": 0.3, "PageFault": 0.05, "Violation": 0.05}


class FewPages:
    """Eight pages of a guest, in two regions of 2 MiB, over second-level tables of 4 KiB pages."""

    def __init__(self, random: Random) -> None:
        self.random, self.memory = random, memory_of(RAM_SPA + GPA_BYTES)
        self.second = PageTable(self.memory, 0x1000, 4)
        self.tables = PageTable(self.memory, 0x1000, 4, offset=RAM_SPA)
        for gpa in (*range(0, 0x2_0000, 0x1000), *range(0x20_0000, 0x22_0000, 0x1000)):
            self.second.maps(gpa, to=RAM_SPA + gpa, page_bytes=0x1000, flags=USER | WRITABLE)
        for number in range(PAGE_COUNT):
            to = 0x1_0000 + number // 2 * 0x1000 + number % 2 * 0x20_0000  # alike but for the region
            self.tables.maps(GVA + number * 0x1000, to=to, flags=USER | WRITABLE)
        self.second.steered_by(physical_bits=40)
        self.tables.steered_by(physical_bits=40, smep=random.random() < 0.2, smap=random.random() < 0.2)

    def gva(self) -> int:
        """One in the eight pages."""
        return GVA + self.random.randrange(PAGE_COUNT * 0x1000)

    def access(self) -> Access:
        """Any access."""
        return Access(self.random.choice(list(AccessKind)), user=self.random.random() < 0.6)

    def turn_over(self, *memories: BufferMemory) -> None:
        """One bit of a lowest entry, of either stage; more often back to what maps."""
        gva = self.gva()
        leaf = self.tables.way(gva)[-1]
        gpa = self.memory.read_u64(leaf) & 0x3F_F000
        spa, bit = self.random.choice((leaf, self.second.way(gpa)[-1])), self.random.choice(BITS)
        entry = self.memory.read_u64(spa)
        sound = entry & ~(NO_EXECUTE | 1 << 51) | PRESENT | USER | WRITABLE
        wanted = entry ^ bit if self.random.random() < 0.5 else sound
        for memory in memories:
            memory.write_u64(spa, wanted)


def test_short_way_finds_what_the_reference_finds() -> None:
    shares = Shares()

    @given(st.integers(0, (1 << 32) - 1))
    def walks_agree(seed: int) -> None:
        pages = FewPages(Random(seed))
        guest, second = pages.tables.paging, pages.second.paging
        twin, cache = copy_of(pages.memory), native.walk_cache()
        for _ in range(200):
            if pages.random.random() < 0.4:
                pages.turn_over(pages.memory, twin)
            gva, access = pages.gva(), pages.access()
            expected = nested_walk(pages.memory, guest, second, gva, access)
            assert native.nested_walk(twin, guest, second, gva, access, cache) == expected
            shares.add(type(expected).__name__)
        assert np.array_equal(twin.view, pages.memory.view)

    walks_agree()
    shares.assert_floors(FLOORS)
