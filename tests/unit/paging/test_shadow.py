"""Shadow tables: what is filled, what is the guest's own fault, how each policy follows the guest."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import pytest
from builders import (
    ACCESSED,
    DIRTY,
    EXECUTE,
    LARGE,
    NO_EXECUTE,
    PRESENT,
    READ,
    USER,
    USER_EXECUTE,
    USER_READ,
    USER_WRITE,
    WRITABLE,
    WRITE,
)
from shadow_worlds import Machine

from minihv.errors import ConfigurationError
from minihv.paging import native_shadow
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging
from minihv.paging.nested import Violation
from minihv.paging.shadow import Emulated, Filled, Shadow, ShadowPolicy
from minihv.paging.shadow_pages import FEWEST, ShadowPages
from minihv.paging.walk import Mapping, NotCanonical, PageFault
from minihv.spec.x86_paging import FRAME
from minihv.testing import PageTable, memory_of

GVA, OTHER = 0x0000_1234_4567_8000, 0x0000_1234_4567_9000
PAGE_GPA, RAM_SPA, RAM_BYTES = 0x9000, 0x20_0000, 0x20_0000
TABLES, SHADOW_BASE = 0x1000, 0x10_0000
POLICIES = list(ShadowPolicy)


def reference(memory: BufferMemory, second: Paging, *options: Any, keep_large: bool) -> Shadow:
    """The Python core, made as the C core is."""
    base, count, policy = options
    return Shadow(memory, second, ShadowPages(memory, base, count), policy, keep_large=keep_large)


class ShadowedGuest(Machine):
    """A guest with a page at ``GVA`` and RAM at ``RAM_SPA``; its tables begin at GPA ``TABLES``."""

    core: ClassVar[Callable[..., Any]] = staticmethod(reference)

    def __init__(
        self,
        policy: ShadowPolicy = ShadowPolicy.TRAP,
        *,
        flags: int = USER | WRITABLE,
        levels: int = 4,
        second_bytes: int = 0x20_0000,
        keep_large: bool = True,
        frames: int = 32,
    ) -> None:
        memory = memory_of(0x40_0000)
        self.second = PageTable(memory, 0x1000, 4)
        for gpa in range(0, RAM_BYTES, second_bytes):
            self.second.maps(gpa, to=RAM_SPA + gpa, page_bytes=second_bytes)
        self.tables = PageTable(memory, TABLES, levels, offset=RAM_SPA).maps(GVA, to=PAGE_GPA, flags=flags)
        shadow = self.core(memory, self.second.paging, SHADOW_BASE, frames, policy, keep_large=keep_large)
        super().__init__(shadow, memory)

    def touch(self, access: Access = READ, gva: int = GVA) -> object:
        """What ring -1 said, or what the processor found without it."""
        return self.access(self.tables.paging, gva, access)

    def entry_spa(self, level: int, gva: int = GVA) -> int:
        """Where the guest's entry lies."""
        return self.tables.way(gva)[self.tables.levels - level]

    def slot(self, level: int, gva: int = GVA) -> int:
        """What the shadow table of ``level`` holds for the address; 0 beyond a hole."""
        frame, at = self.shadow.root(self.tables.paging), self.tables.levels
        while True:
            entry = self.memory.read_u64(frame + 8 * (gva >> 3 + 9 * at & 0x1FF))
            if at == level or not entry & PRESENT:
                return entry if at == level else 0
            frame, at = entry & FRAME, at - 1

    def edit(self, value: int, level: int = 1) -> Self:
        """The guest has written an entry, and ring -1 made the store for it."""
        spa = self.entry_spa(level)
        self.memory.write_u64(spa, value)
        self.shadow.written(spa, 8)
        return self

    def edit_unheard(self, value: int, level: int = 1) -> Self:
        """The guest has written an entry by itself."""
        self.memory.write_u64(self.entry_spa(level), value)
        return self


@pytest.fixture(autouse=True, params=[reference, native_shadow.Shadow], ids=["python", "c"])
def either_core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sentence is true of both cores."""
    monkeypatch.setattr(ShadowedGuest, "core", staticmethod(request.param))


@pytest.mark.parametrize("levels", [4, 5])
def test_first_access_fills_and_the_second_is_no_exit(levels: int) -> None:
    guest = ShadowedGuest(levels=levels)
    assert isinstance(guest.touch(), Filled)
    found = guest.touch()
    assert isinstance(found, Mapping)
    assert (found.gpa, found.references, guest.exits) == (RAM_SPA + PAGE_GPA, levels, 1)


def test_fill_tells_what_the_walk_of_both_stages_found() -> None:
    found = ShadowedGuest().touch()
    assert isinstance(found, Filled)
    assert (found.gpa, found.spa, found.references) == (PAGE_GPA, RAM_SPA + PAGE_GPA, 19)


def test_fault_of_the_guest_is_its_own() -> None:
    guest = ShadowedGuest(flags=WRITABLE)
    assert guest.touch(USER_READ) == PageFault(GVA, 1, 19 - 3, 0b101)
    assert guest.slot(4) == 0


def test_address_that_is_not_canonical_is_no_exit() -> None:
    guest = ShadowedGuest()
    assert guest.touch(gva=1 << 60) == NotCanonical(1 << 60)
    assert guest.exits == 0


def test_page_without_memory_is_a_violation() -> None:
    guest = ShadowedGuest()
    guest.tables.maps(OTHER, to=0x40_0000)
    found = guest.touch(gva=OTHER)
    assert isinstance(found, Violation) and (found.gpa, found.on_table) == (0x40_0000, False)


def test_root_without_memory_has_no_shadow() -> None:
    guest = ShadowedGuest()
    guest.tables.steered_by(root=0x40_0000)
    assert guest.shadow.root(guest.tables.paging) is None
    found = guest.touch()
    assert isinstance(found, Violation) and found.on_table


def test_accessed_bits_are_set_in_the_guests_tables() -> None:
    guest = ShadowedGuest()
    guest.touch()
    assert [guest.tables.entry(GVA, level) & (ACCESSED | DIRTY) for level in (4, 3, 2, 1)] == [ACCESSED] * 4


def test_page_may_be_written_only_once_the_guests_entry_is_dirty() -> None:
    guest = ShadowedGuest()
    guest.touch()
    assert not guest.slot(1) & WRITABLE
    assert isinstance(guest.touch(WRITE), Filled) and guest.slot(1) & WRITABLE
    assert guest.tables.entry(GVA, 1) & DIRTY
    assert isinstance(guest.touch(WRITE), Mapping)


def test_page_may_be_written_only_once_the_second_level_is_dirty() -> None:
    guest = ShadowedGuest(flags=USER | WRITABLE | DIRTY, second_bytes=0x1000)
    guest.touch()
    assert not guest.slot(1) & WRITABLE
    assert isinstance(guest.touch(WRITE), Filled) and guest.slot(1) & WRITABLE
    assert guest.second.entry(PAGE_GPA, 1) & DIRTY


@pytest.mark.parametrize(("flags", "wanted"), [(0, 0), (USER, USER), (USER | NO_EXECUTE, USER | NO_EXECUTE)])
def test_slot_has_the_rights_of_the_guests_entry(flags: int, wanted: int) -> None:
    guest = ShadowedGuest(flags=flags)
    guest.touch()
    assert guest.slot(1) & (USER | NO_EXECUTE | WRITABLE) == wanted


def test_rights_above_are_mirrored_where_they_are() -> None:
    guest = ShadowedGuest()
    guest.tables.with_entry(GVA, 3, clear=USER)
    guest.touch(WRITE)
    assert (guest.slot(3) & USER, guest.slot(1) & USER) == (0, USER)
    assert isinstance(guest.touch(USER_READ), PageFault)


@pytest.mark.parametrize("access", [USER_EXECUTE, EXECUTE])
def test_page_without_execute_in_the_second_level_is_not_executed(access: Access) -> None:
    guest = ShadowedGuest()
    guest.second.with_entry(0, 2, set=NO_EXECUTE)
    guest.touch()
    assert guest.slot(1) & NO_EXECUTE
    assert isinstance(guest.touch(access), Violation)


def test_supervisor_who_ignores_read_only_is_written_for() -> None:
    guest = ShadowedGuest(flags=USER)
    guest.tables.steered_by(wp=False)
    assert isinstance(guest.touch(WRITE), Emulated) and not guest.slot(1) & WRITABLE
    assert isinstance(guest.touch(USER_WRITE), PageFault)
    assert isinstance(guest.touch(USER_READ), Mapping)


@pytest.mark.parametrize(("register", "access"), [("smap", READ), ("smep", EXECUTE)])
def test_processor_itself_keeps_supervisors_off_user_pages(register: str, access: Access) -> None:
    guest = ShadowedGuest()
    guest.touch(Access(access.kind, user=True))
    guest.tables.steered_by(**{register: True})
    assert isinstance(guest.touch(access), PageFault) and guest.exits == 2


def test_global_pages_are_global() -> None:
    guest = ShadowedGuest(flags=USER | 1 << 8)
    guest.touch()
    assert guest.slot(1) & 1 << 8


def large_guest(page_bytes: int, *, keep_large: bool = True) -> ShadowedGuest:
    """One whose page at GVA 0 is large, and which has tables behind it."""
    guest = ShadowedGuest(keep_large=keep_large)
    guest.second.maps(0x20_0000, to=0, page_bytes=0x20_0000)
    guest.second.maps(0x4000_0000, to=RAM_SPA, page_bytes=0x20_0000)
    guest.tables.maps(0, to=0x4000_0000 if page_bytes > 1 << 21 else 0x20_0000, page_bytes=page_bytes)
    return guest


def test_large_page_stays_whole_where_no_table_lies_in_it() -> None:
    guest = large_guest(1 << 21)
    guest.touch(WRITE, gva=0x5123)
    assert guest.slot(2, 0x5123) & LARGE and guest.slot(2, 0x5123) & WRITABLE
    assert isinstance(guest.touch(gva=0x1F_F000), Mapping)


def test_large_page_is_split_when_it_may_not_stay() -> None:
    guest = large_guest(1 << 21, keep_large=False)
    guest.touch(WRITE, gva=0x5123)
    assert not guest.slot(2, 0x5123) & LARGE and guest.slot(1, 0x5123) & WRITABLE
    assert isinstance(guest.touch(gva=0x6000), Filled)


def test_page_of_1_gib_is_made_of_pieces_and_tables_in_it_stay_protected() -> None:
    guest = large_guest(1 << 30)
    assert isinstance(guest.touch(WRITE, gva=PAGE_GPA), Filled)
    assert not guest.slot(2, PAGE_GPA) & LARGE and guest.slot(1, PAGE_GPA) & WRITABLE
    assert isinstance(guest.touch(WRITE, gva=TABLES), Emulated)


def test_table_that_is_found_takes_the_right_to_write_from_a_large_page_around_it() -> None:
    guest = large_guest(1 << 21)
    guest.touch(WRITE, gva=0x5000)
    held = guest.slot(2, 0x5000) & LARGE
    leaf, moved = guest.entry_spa(1) & -0x1000, 0x8_0000
    guest.memory.view[moved : moved + 0x1000] = guest.memory.view[leaf : leaf + 0x1000]
    guest.edit_unheard(0x20_0000 + moved | PRESENT | WRITABLE | USER, level=2)
    assert isinstance(guest.touch(), Filled)
    assert held and guest.slot(2, 0x5000) == 0


def mapped_table(policy: ShadowPolicy, level: int) -> ShadowedGuest:
    """One that has its own table of ``level`` mapped at ``OTHER``."""
    guest = ShadowedGuest(policy)
    guest.touch(WRITE)
    guest.tables.maps(OTHER, to=guest.entry_spa(level) - RAM_SPA & -0x1000)
    return guest


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_trap_has_every_write_to_a_table_made_by_ring_minus_1(level: int) -> None:
    guest = mapped_table(ShadowPolicy.TRAP, level)
    assert isinstance(guest.touch(WRITE, gva=OTHER), Emulated)
    assert isinstance(guest.touch(WRITE, gva=OTHER), Emulated)
    assert isinstance(guest.touch(READ, gva=OTHER), Mapping)


def test_trap_empties_the_slot_that_mirrors_what_was_written() -> None:
    guest = ShadowedGuest(ShadowPolicy.TRAP)
    guest.touch(WRITE)
    guest.shadow.take_stale()
    guest.edit(0xA000 | PRESENT | WRITABLE | USER)
    assert guest.slot(1) == 0 and guest.shadow.take_stale()
    found = guest.touch()
    assert isinstance(found, Filled) and found.spa == RAM_SPA + 0xA000


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_unsync_lets_only_tables_of_the_lowest_level_go(level: int) -> None:
    guest = mapped_table(ShadowPolicy.UNSYNC, level)
    assert isinstance(guest.touch(WRITE, gva=OTHER), Filled if level == 1 else Emulated)


@pytest.mark.parametrize("by_page", [False, True])
def test_unsync_compares_when_the_guest_flushes(by_page: bool) -> None:
    guest = mapped_table(ShadowPolicy.UNSYNC, 1)
    guest.touch(WRITE, gva=OTHER)
    guest.edit_unheard(0xA000 | PRESENT | WRITABLE | USER)
    assert isinstance(guest.touch(), Mapping)
    guest.shadow.invalidate_page(guest.tables.paging, GVA) if by_page else guest.shadow.invalidate_all()
    found = guest.touch()
    assert isinstance(found, Filled) and found.spa == RAM_SPA + 0xA000


def test_unsync_keeps_what_is_still_true() -> None:
    guest = mapped_table(ShadowPolicy.UNSYNC, 1)
    guest.touch(WRITE, gva=OTHER)
    guest.shadow.invalidate_all()
    assert isinstance(guest.touch(), Mapping)
    assert isinstance(guest.touch(WRITE, gva=OTHER), Filled)  # in sync again, and let go again


@pytest.mark.parametrize("bit", [ACCESSED, DIRTY])
def test_unsync_sees_that_a_mark_was_taken_back(bit: int) -> None:
    guest = mapped_table(ShadowPolicy.UNSYNC, 1)
    guest.touch(WRITE, gva=OTHER)
    guest.edit_unheard(guest.tables.entry(GVA, 1) & ~bit)
    guest.shadow.invalidate_all()
    assert isinstance(guest.touch(WRITE), Filled) and guest.tables.entry(GVA, 1) & bit


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_flush_protects_nothing_and_compares_the_way_to_a_page(level: int) -> None:
    guest = mapped_table(ShadowPolicy.FLUSH, level)
    assert isinstance(guest.touch(WRITE, gva=OTHER), Filled)
    guest.edit_unheard(0, level)
    assert isinstance(guest.touch(), Mapping)
    guest.shadow.invalidate_page(guest.tables.paging, GVA)
    assert isinstance(guest.touch(), PageFault)


def test_flush_throws_everything_away() -> None:
    guest = ShadowedGuest(ShadowPolicy.FLUSH)
    guest.touch()
    guest.shadow.invalidate_all()
    assert guest.shadow.counters.pages == 0 and guest.shadow.counters.peak == 4


def test_trap_keeps_its_tables_when_the_guest_switches_back_and_forth() -> None:
    guest = ShadowedGuest(ShadowPolicy.TRAP)
    guest.touch()
    guest.shadow.invalidate_all()
    assert isinstance(guest.touch(), Mapping)


@pytest.mark.parametrize("policy", POLICIES)
def test_table_that_maps_itself_is_mirrored_at_each_level_it_serves_at(policy: ShadowPolicy) -> None:
    guest = ShadowedGuest(policy)
    root = guest.tables.paging.root
    guest.memory.write_u64(RAM_SPA + root + 8 * 5, root | PRESENT | WRITABLE)
    gva = sum(5 << shift for shift in (12, 21, 30, 39))
    assert isinstance(guest.touch(gva=gva), Filled)
    assert guest.shadow.counters.pages == 4
    wanted = Filled if policy is ShadowPolicy.FLUSH else Emulated
    assert isinstance(guest.touch(WRITE, gva=gva), wanted)


@pytest.mark.parametrize("register", [{"nxe": False}, {"physical_bits": 40}])
def test_another_format_of_the_guests_tables_drops_all(register: dict[str, int]) -> None:
    guest = ShadowedGuest()
    guest.touch()
    guest.tables.steered_by(**register)
    assert isinstance(guest.touch(), Filled) and guest.shadow.take_stale()


def test_no_page_may_be_written_after_the_rights_were_taken() -> None:
    guest = large_guest(1 << 21)
    guest.touch(WRITE), guest.touch(WRITE, gva=0x5000)
    guest.shadow.take_writes()
    assert not guest.slot(1) & (WRITABLE | DIRTY) and not guest.slot(2, 0x5000) & (WRITABLE | DIRTY)
    assert isinstance(guest.touch(WRITE), Filled) and isinstance(guest.touch(), Mapping)


def test_write_of_many_bytes_empties_what_it_touches_and_nothing_else() -> None:
    guest = ShadowedGuest()
    guest.tables.maps(OTHER, to=0xA000).maps(OTHER + 0x1000, to=0xB000)
    for gva in (GVA, OTHER, OTHER + 0x1000):
        guest.touch(gva=gva)
    guest.shadow.written(guest.entry_spa(1) + 15, 1)
    assert [bool(guest.slot(1, gva)) for gva in (GVA, OTHER, OTHER + 0x1000)] == [True, False, True]


@pytest.mark.parametrize("policy", POLICIES)
def test_page_that_had_to_go_is_pointed_to_by_nobody(policy: ShadowPolicy) -> None:
    guest = ShadowedGuest(policy, frames=FEWEST)
    gvas = [place << 39 for place in range(1, 21)]  # one slot of each lower table, so a false way leads on
    for place, gva in enumerate(gvas):
        guest.tables.maps(gva, to=0x10_0000 + (place << 12))
    for gva in [*gvas, *gvas, *reversed(gvas)]:
        found = guest.touch(gva=gva)
        assert isinstance(found, (Filled, Mapping))
        spa = found.spa if isinstance(found, Filled) else found.gpa
        assert spa == RAM_SPA + 0x10_0000 + (gvas.index(gva) << 12)
    assert guest.shadow.counters.evicted > 0 and guest.shadow.counters.peak == FEWEST


def test_policy_is_named_as_on_the_command_line() -> None:
    assert [ShadowPolicy.named(name) for name in ("trap", "unsync", "flush")] == POLICIES
    with pytest.raises(ConfigurationError) as refused:
        ShadowPolicy.named("trapp")
    assert str(refused.value) == (
        "The policy of shadow paging must be one of trap, unsync, flush, not 'trapp', did you mean 'trap'?"
    )


def test_kinds_of_access_are_those_of_the_walk() -> None:
    assert ShadowedGuest().touch(Access(AccessKind.EXECUTE)) == ShadowedGuest().touch(EXECUTE)
