"""A guest in a few MiB with tables at random, for shadow paging: a processor with one stage in front of it.

The first 2 MiB are ring -1's: second-level tables and shadow pages. The guest's RAM lies behind them. Its
first frames hold tables whose entries lead to each other and to pages: tables serve at several levels,
map themselves, and are reached as data.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minihv.paging import native_shadow
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging
from minihv.paging.formats import NESTED
from minihv.paging.nested import NestedMapping, nested_walk
from minihv.paging.shadow import Emulated, Filled, Shadow, ShadowPolicy
from minihv.paging.shadow_pages import ShadowPages
from minihv.paging.tables import FramePool, PageTables
from minihv.paging.walk import Mapping, PageFault, walk
from minihv.spec.x86_paging import USER, WRITABLE
from minihv.testing.crowds import crowded_entries

MIB = 1 << 20
RAM_BYTES = 8 * MIB
GUEST_SPA, GUEST_BYTES = 2 * MIB, 6 * MIB
SHADOW_BASE = 1 * MIB
TABLE_FRAMES = 12
FLAGS = USER | WRITABLE


class World:
    """Memory of a machine with a guest, and a source of further choices."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.used: list[int] = []
        self.memory = BufferMemory(np.zeros(RAM_BYTES, dtype=np.uint8))
        pool = FramePool([frame << 12 for frame in range(1, 64)])
        self.tables = PageTables(self.memory, NESTED[4], pool.allocate, pool.free)
        self.map_guest()
        choose = np.random.default_rng(seed)
        words = self.memory.view.view(np.uint64)
        tables, pages = [*range(TABLE_FRAMES)], [*range(TABLE_FRAMES, 24), 600, 1535, 1600]
        targets = np.array(tables * 4 + pages, dtype=np.uint64)
        for frame in range(TABLE_FRAMES):
            few, large = choose.choice([0.01, 0.05, 0.2]), choose.choice([0, 0.1, 0.4])
            at = (GUEST_SPA >> 3) + frame * 512
            words[at : at + 512] = crowded_entries(choose, targets, large, few)

    def map_guest(self) -> None:
        """Second-level tables: large pages, small ones, a hole, and some that may only be read."""
        self.tables.map(0, GUEST_SPA, 2 * MIB, FLAGS)
        self.tables.map(2 * MIB, GUEST_SPA + 2 * MIB, 2 * MIB, FLAGS)
        for page in range(4 * MIB, 6 * MIB, 4096):
            if page % 0x7000:
                self.tables.map(page, GUEST_SPA + page, 4096, USER if page % 0x5000 == 0 else FLAGS)
        if self.random.random() < 0.5:
            self.tables.split(0)
            for frame in (3, 7, 13):
                self.tables.protect(frame << 12, 4096, USER)

    @property
    def second(self) -> Paging:
        """Registers over the second-level tables."""
        return Paging(self.tables.root, 4)

    def guest(self) -> Paging:
        """Registers of the guest: any of its tables is a root."""
        often = self.random.random
        return Paging(
            self.random.randrange(TABLE_FRAMES) << 12,
            5 if often() < 0.1 else 4,
            52,
            nxe=often() < 0.95,
            wp=often() < 0.7,
            smep=often() < 0.3,
            smap=often() < 0.3,
        )

    def gva(self) -> int:
        """One that led somewhere before, mostly; so translations are used again."""
        if self.used and self.random.random() < 0.7:
            return self.random.choice(self.used[-12:])
        indices = [self.random.choice((0, 1, 2, 3, 255, 256, 511)) for _ in range(5)]
        low = sum(index << 12 + 9 * place for place, index in enumerate(indices[:4])) | 0x123 * 8
        return low | (0xFFFF << 48 if low >> 47 else 0)

    def access(self) -> Access:
        """Any access."""
        often = self.random.random
        kind = self.random.choice(list(AccessKind))
        return Access(kind, user=often() < 0.4, ac=often() < 0.3, implicit=often() < 0.1)


@dataclass
class Machine:
    """Shadow tables of either core, and the processor before them."""

    shadow: Any
    memory: BufferMemory
    exits: int = 0

    def access(self, guest: Paging, gva: int, access: Access) -> object:
        """What the processor ends with: the mapping in its own tables, or what ring -1 said."""
        found = self.hardware(guest, gva, access)
        if not isinstance(found, PageFault):
            return found
        self.exits += 1
        answer = self.shadow.fill(guest, gva, access)
        if isinstance(answer, Filled):
            found = self.hardware(guest, gva, access)
            assert isinstance(found, Mapping), f"filled, and refused again: {found}"
            assert found.gpa == answer.spa
        return answer

    def hardware(self, guest: Paging, gva: int, access: Access) -> object:
        """A walk of the shadow tables."""
        root = self.shadow.root(guest)
        if root is None:
            return PageFault(gva, 0, 0, 0)
        return walk(self.memory, replace(guest, root=root, nxe=True, wp=True), gva, access)

    def write(self, guest: Paging, gva: int, user: bool, value: int) -> int | None:
        """A store of eight bytes; where, if it was allowed."""
        answer = self.access(guest, gva & -8, Access(AccessKind.WRITE, user=user))
        match answer:
            case Mapping(gpa=spa) | NestedMapping(spa=spa):
                self.memory.write_u64(spa, value)
                if isinstance(answer, Emulated):
                    self.shadow.written(spa, 8)
                return spa
        return None


def reference(world: World, policy: ShadowPolicy, page_count: int, keep_large: bool) -> Machine:
    """The Python core over the world's memory."""
    pages = ShadowPages(world.memory, SHADOW_BASE, page_count)
    return Machine(Shadow(world.memory, world.second, pages, policy, keep_large=keep_large), world.memory)


def native_twin(world: World, policy: ShadowPolicy, page_count: int, keep_large: bool) -> Machine:
    """The C core over a copy of it."""
    memory = BufferMemory(world.memory.view.copy())
    shadow = native_shadow.Shadow(
        memory, world.second, SHADOW_BASE, page_count, policy, keep_large=keep_large
    )
    return Machine(shadow, memory)


def plain_access(memory: BufferMemory, second: Paging, guest: Paging, gva: int, access: Access) -> object:
    """What a processor with two stages finds."""
    return nested_walk(memory, guest, second, gva, access)


def same_answer(found: object, expected: object) -> bool:
    """Whether a processor with shadow tables ended as one with two stages does."""
    if isinstance(expected, NestedMapping):
        spa = found.gpa if isinstance(found, Mapping) else getattr(found, "spa", None)
        return spa == expected.spa
    return found == expected


def guest_bytes(memory: BufferMemory) -> Any:
    """The guest's RAM."""
    return memory.view[GUEST_SPA : GUEST_SPA + GUEST_BYTES]


def table_entry(random: Random) -> int:
    """An entry that a guest may write: most lead to a table or a page, some to nothing."""
    target = random.choice([*range(TABLE_FRAMES)] * 2 + [*range(24), 512, 1535]) << 12
    flags = random.choice([0, 0x27, 0x67, 0x67, 0x63, 0x65, 0x7, 0x167, 0xE7, 0x67 | 1 << 63])
    return target | flags if flags else 0


seeds = st.integers(0, (1 << 32) - 1)
