"""Small worlds that shrink: tables for a few ways to a few pages, each entry plain or twisted, and accesses.

Stands for: a kernel's page tables; with two stages, those of a guest and the hypervisor's below them.
Spec: AMD APM vol. 2, "Long-Mode Page Translation" and "Nested Paging".
Simplified: no more than three pages are mapped; ``minihv.testing.crowds`` has tables that are full.
Next: ``minihv.testing.outcomes``

==================  =====================================================================================
Physical address    What lies there
==================  =====================================================================================
``0x1000``          the tables of one stage, or with two stages those of the guest: these are GPAs
``0x100000``        the tables of the second stage
``0x200000``        with two stages the guest's RAM: what has GPA ``g`` here has SPA ``0x200000 + g``
from 1 GiB          the pages, outside of the memory: no walk reads them
==================  =====================================================================================
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from minihv.paging.access import Access, Paging, StageName
from minihv.paging.formats import ENTRIES_PER_TABLE, INDEX_BITS, X86_64
from minihv.spec.x86_paging import FRAME
from minihv.terms import HUGE_PAGE_BYTES, LARGE_PAGE_BYTES, MIB, PAGE_BYTES, PAGE_SHIFT
from minihv.testing.accesses import accesses, not_one_in, pagings
from minihv.testing.memory import WordMemory
from minihv.testing.tables import PAGE_LEVELS, PageTable, canonical
from minihv.testing.twists import RECURSIVE, EntryPlace, Twist, twists

SECOND_ROOT = 1 * MIB
GUEST_RAM = 2 * MIB
PAGE_SIZES = [PAGE_BYTES, PAGE_BYTES, LARGE_PAGE_BYTES, HUGE_PAGE_BYTES]
INDEXES = [0, 1, 2, ENTRIES_PER_TABLE // 2, ENTRIES_PER_TABLE - 1]
"""Few, so that ways share tables; those of the upper half are kernel addresses at the first level."""
MOST_WAYS = 6
FAR = 4 * HUGE_PAGE_BYTES
"""With two stages a page lies so far behind its GPA."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One access to one GVA."""

    gva: int
    access: Access


@dataclass(frozen=True, slots=True)
class Way:
    """One page that was mapped, before any entry on the way to it was twisted."""

    address: int
    page_bytes: int


@dataclass(frozen=True, slots=True)
class DrawnEntry:
    """One entry as it was drawn: of whose table, of which level, and what is not plain about it."""

    stage: StageName
    level: int
    is_page: bool
    address: int
    """The first address of the way it was drawn for."""
    twists: tuple[str, ...] = ()


@dataclass
class World:
    """Memory with tables, the registers over them, and what was drawn where."""

    memory: WordMemory
    guest: Paging
    second: Paging | None = None
    """The registers of the second stage, if there is one."""
    ways: list[Way] = field(default_factory=list)
    entries: dict[int, DrawnEntry] = field(default_factory=dict)
    """By the address in memory at which each entry lies."""

    @property
    def recursive(self) -> bool:
        """Some table is reached at two levels."""
        return any(RECURSIVE in entry.twists for entry in self.entries.values())


Placed = tuple[tuple[int, Twist], ...]
"""Twists, each with the level of the entry that has it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One page to map, and the twists of entries on the way to it; all independent of other pages."""

    address: int
    page_bytes: int
    to: int
    twists: Placed = ()
    second: "Plan | None" = None
    """Of the same page in the second stage."""


@st.composite
def worlds(draw: st.DrawFn, /, *, stages: int = 1, max_ways: int = 3, **fixed: Any) -> World:
    """Tables of one stage or two that map up to ``max_ways`` pages, with about one twist for each.

    Pages have 4 KiB in half of the draws, else 2 MiB or 1 GiB. It shrinks to one page of 4 KiB at GVA 0 with
    plain entries. The shares of what ``asks`` meets are printed by ``check_walker``, which holds them against
    floors: with one stage a page in half of the walks, and each refusal in one to twenty of a hundred.

    Args:
        draw: given by Hypothesis.
        stages: 1, or 2 for a guest whose tables are found through second-level tables.
        max_ways: how many pages are mapped at most.
        fixed: values or strategies for registers, by the names of ``Paging``; ``second_levels`` and
            ``second_nxe`` are those of the second stage.
    """
    second_fixed = {
        name.removeprefix("second_"): fixed.pop(name) for name in [*fixed] if name.startswith("second_")
    }
    guest = draw(pagings(**fixed))
    own = {"root": SECOND_ROOT, "physical_bits": guest.physical_bits, "nxe": not_one_in(16)}
    own |= {"wp": True, "smep": False, "smap": False}
    second = draw(pagings(**own | second_fixed)) if stages == 2 else None
    plans = draw(st.lists(page_plans(guest, second), min_size=1, max_size=max_ways))
    tables_plan = draw(table_plans(second)) if second is not None else None
    return laid_out(guest, second, plans, tables_plan)


@st.composite
def page_plans(draw: st.DrawFn, guest: Paging, second: Paging | None) -> Plan:
    """One page, from 1 GiB on, so that no page is where tables are."""
    page_bytes = draw(st.sampled_from(PAGE_SIZES))
    address = draw(_addresses(guest.levels)) & -page_bytes
    gpa = HUGE_PAGE_BYTES + page_bytes * draw(st.integers(0, 3))
    changed = draw(_placed_twists(guest.levels, _place(guest), page_bytes, 2))
    if second is None:
        return Plan(address, page_bytes, gpa, changed)
    second_bytes = draw(st.sampled_from(PAGE_SIZES))
    inside = gpa + draw(offsets(page_bytes)) & -second_bytes
    again = Plan(
        inside,
        second_bytes,
        inside + FAR,
        draw(_placed_twists(second.levels, _place(second), second_bytes, 1)),
    )
    return Plan(address, page_bytes, gpa, changed, again)


@st.composite
def table_plans(draw: st.DrawFn, second: Paging) -> tuple[bool, list[tuple[int, Placed]]]:
    """Whether one page of 2 MiB holds the guest's tables, and twists for one of them, by its number."""
    large = draw(st.booleans())
    changed = _placed_twists(second.levels, _place(second), LARGE_PAGE_BYTES if large else PAGE_BYTES, 1)
    return large, draw(st.lists(st.tuples(st.integers(0, 5), changed), max_size=1))


def _place(paging: Paging) -> EntryPlace:
    """An entry of these tables, at no level yet."""
    return EntryPlace(0, False, paging.physical_bits, paging.root & FRAME)


@cache
def _placed_twists(levels: int, of: EntryPlace, page_bytes: int, most: int) -> st.SearchStrategy[Placed]:
    """Twists of entries on the way to a page; that of the page itself is the likeliest."""
    leaf = PAGE_LEVELS[page_bytes]

    def at(level: int) -> st.SearchStrategy[tuple[int, Twist]]:
        return st.tuples(st.just(level), twists(replace(of, level=level, is_page=level == leaf)))

    placed = {level: at(level) for level in range(leaf, levels + 1)}
    likely = st.sampled_from([leaf, leaf, *placed])
    return st.lists(likely.flatmap(placed.__getitem__), max_size=most).map(tuple)


@cache
def _addresses(levels: int) -> st.SearchStrategy[int]:
    """GVAs of pages: an index of ``INDEXES`` for each level, all in one number, which shrinks fast."""

    def address(number: int) -> int:
        found = 0
        for shift in range(PAGE_SHIFT, PAGE_SHIFT + INDEX_BITS * levels, INDEX_BITS):
            number, which = divmod(number, len(INDEXES))
            found |= INDEXES[which] << shift
        return canonical(found, levels)

    return st.integers(0, len(INDEXES) ** levels - 1).map(address)


def laid_out(
    guest: Paging,
    second: Paging | None,
    plans: list[Plan],
    tables_plan: tuple[bool, list[tuple[int, Placed]]] | None = None,
) -> World:
    """The world in which ``plans`` are carried out, each where the earlier ones left room."""
    world = World(WordMemory(), guest, second)
    tables = PageTable(world.memory, guest.root & FRAME, guest.levels, GUEST_RAM if second else 0)
    done = _map(tables, plans)
    world.ways = [Way(plan.address, plan.page_bytes) for plan in done]
    if second is not None and tables_plan is not None:
        inner = PageTable(world.memory, second.root & FRAME, second.levels)
        wanted = [*_plans_of_tables(tables, *tables_plan), *(plan.second for plan in done if plan.second)]
        _twist(world, StageName.SECOND, second, inner, _map(inner, wanted))
    _twist(world, StageName.GUEST, guest, tables, done)
    return world


def _plans_of_tables(tables: PageTable, large: bool, twisted: list[tuple[int, Placed]]) -> list[Plan]:
    """How the second stage maps the guest's tables."""
    if large:
        return [Plan(0, LARGE_PAGE_BYTES, GUEST_RAM, twisted[0][1] if twisted else ())]
    gpas = range(tables.paging.root & FRAME, tables.next_table, PAGE_BYTES)
    changed = {gpas[number % len(gpas)]: twists for number, twists in twisted}
    return [Plan(gpa, PAGE_BYTES, GUEST_RAM + gpa, changed.get(gpa, ())) for gpa in gpas]


def _map(tables: PageTable, plans: list[Plan]) -> list[Plan]:
    """Maps each page for which there is room; those that were mapped."""
    done = []
    for plan in plans:
        if tables.has_room(plan.address, plan.page_bytes):
            tables.maps(plan.address, to=plan.to, page_bytes=plan.page_bytes)
            done.append(plan)
    return done


def _twist(world: World, stage: StageName, paging: Paging, tables: PageTable, plans: list[Plan]) -> None:
    """Notes every entry, and twists those of ``plans``; all are found before a twist cuts a way."""
    found = [dict(zip(range(tables.levels, 0, -1), tables.way(plan.address), strict=False)) for plan in plans]
    for plan, way in zip(plans, found, strict=True):
        for level, entry_pa in way.items():
            is_page = level == PAGE_LEVELS[plan.page_bytes]
            world.entries[entry_pa] = DrawnEntry(stage, level, is_page, plan.address)
    for plan, way in zip(plans, found, strict=True):
        for level, twist in plan.twists:
            entry_pa = way[level]
            entry = world.entries[entry_pa]
            world.memory.write_u64(entry_pa, twist.of(world.memory.read_u64(entry_pa)))
            world.entries[entry_pa] = replace(entry, twists=(*entry.twists, twist.name))


@cache
def offsets(page_bytes: int) -> st.SearchStrategy[int]:
    """Bytes from the start of a page: 0, the last eight, and any."""
    marked = st.sampled_from([0, page_bytes - 8])
    return st.one_of(marked, st.integers(0, page_bytes - 1))


@st.composite
def gvas(draw: st.DrawFn, world: World) -> int:
    """Addresses that hit what ``world`` maps: six of eight in a page, one beside it, one not canonical."""
    way = world.ways[-1 - draw(st.integers(0, MOST_WAYS - 1)) % len(world.ways)]  # whichever were left out
    gva = way.address + draw(offsets(way.page_bytes))
    where = draw(st.sampled_from(["inside"] * 6 + ["beside", "not canonical"]))
    address_bits = X86_64[world.guest.levels].address_bits
    if where == "beside":
        return canonical(gva ^ 1 << draw(st.integers(PAGE_SHIFT, address_bits - 1)), world.guest.levels)
    if where == "not canonical":
        return gva ^ 1 << draw(st.integers(address_bits, 63))
    return gva


@st.composite
def asks(draw: st.DrawFn, world: World, access: st.SearchStrategy[Access] | None = None) -> Ask:
    """Accesses to ``gvas(world)``, of any kind unless ``access`` says which."""
    return Ask(draw(gvas(world)), draw(accesses() if access is None else access))
