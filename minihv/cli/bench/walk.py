"""Rows ``walk.*``: what a miss of the TLB costs when our walk answers it.

The pages are 4 KiB in both stages, so that every walk reads 24 entries: the guest's four, and for each of
them and for the page itself the four of the second level.

Next: ``minihv.cli.bench.dirty``
"""

from minihv.cli.bench.loops import STRIDE, STRIDE_FROM, STRIDE_PAGES
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Bare, Child
from minihv.errors import InternalError
from minihv.guests.boot import TABLES_GPA
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.frames import HYPERVISOR
from minihv.machine.processor import PagingMode
from minihv.paging import native
from minihv.paging.access import Access, Paging
from minihv.paging.formats import NESTED, X86_64
from minihv.paging.nested import NestedMapping, nested_walk
from minihv.paging.tables import PageTables
from minihv.terms import LARGE_PAGE_BYTES, MIB, PAGE_BYTES, Gpa

MEMORY_BYTES = 64 * MIB
REFERENCES = 24
GUEST_TABLES = range(0x40_0000, 0x80_0000, PAGE_BYTES)
"""Frames of the guest for its own tables."""


class GuestMemory:
    """The guest's memory as the builder of its tables sees it."""

    def __init__(self, space: GpaSpace) -> None:
        self._space = space

    def read_u64(self, gpa: int) -> int:
        """Eight bytes."""
        return int.from_bytes(self._space.read(gpa, 8), "little")

    def write_u64(self, gpa: int, value: int) -> None:
        """Eight bytes."""
        self._space.write(Gpa(gpa), value.to_bytes(8, "little"))

    def fill_zero(self, gpa: int, byte_count: int) -> None:
        """Zeros."""
        self._space.write(Gpa(gpa), bytes(byte_count))


class Strider(Child):
    """A child whose memory is mapped by 4 KiB pages twice, and which reads one word of each of many."""

    references = REFERENCES
    """Of the walk that answers each of its misses."""

    def __init__(self, paging: PagingMode = PagingMode.SLAT) -> None:
        super().__init__(STRIDE, MEMORY_BYTES, paging)
        memory, space = self.hypervisor.memory, self.partition.gpa_space
        frames = iter(GUEST_TABLES)
        guest = PageTables(
            GuestMemory(space), X86_64[4], lambda: next(frames), lambda _frame: None, root=TABLES_GPA
        )
        second = PageTables(
            memory,
            NESTED[4],
            lambda: memory.frames.allocate(HYPERVISOR),
            lambda spa: memory.frames.free(HYPERVISOR, spa),
            root=space.root,
        )
        for address in range(0, MEMORY_BYTES, LARGE_PAGE_BYTES):
            guest.split(address)
            second.split(address)
        space.changed = True
        self.paging = Paging(TABLES_GPA), Paging(space.root)

    def nanoseconds_per_miss(self, count: int) -> float:
        """Executes ``count`` loads; every one of them misses, or this is no measurement."""
        counters = self.vp.counters
        fills, references = counters.tlb_fills, counters.walk_references
        taken = nanoseconds(lambda: self.run(count))
        fills, references = counters.tlb_fills - fills, counters.walk_references - references
        if fills < count * 0.95 or round(references / fills) != self.references:
            raise InternalError(
                f"Each of {count} loads should walk {self.references} references, and there were {fills} "
                f"walks of {references} references: please report it."
            )
        return taken / int(fills)


def miss(effort: Effort) -> Row:
    """A miss answered by the two-stage walk, beside one that is answered with the address itself."""
    count = effort.times(40_000)

    def theirs() -> float:
        fills = bare.counters.fills
        taken = nanoseconds(lambda: bare.run(count))
        return taken / int(bare.counters.fills - fills)

    with Strider() as child, Bare(STRIDE, MEMORY_BYTES) as bare:
        pairs = effort.pairs("walk.miss", lambda: child.nanoseconds_per_miss(count), theirs, turns=6)
    return row("walk.miss", "ns", "a fill of the engine that does not walk", pairs, Goal("ratio", "<=", 2.0))


def python(effort: Effort) -> Row:
    """The C walk and the Python walk of the same 24 references."""
    pages = effort.times(1000)
    gvas = [STRIDE_FROM + number % STRIDE_PAGES * PAGE_BYTES for number in range(pages)]
    with Strider() as child:
        memory, (guest, second), access = child.hypervisor.memory, child.paging, Access()
        many = gvas * 50

        def ours() -> float:
            counts: list[int] = []
            taken = nanoseconds(
                lambda: counts.append(native.walk_each(memory, guest, second, many, access)), len(many)
            )
            return walks_per_second(taken, len(many), sum(counts))

        def theirs() -> float:
            counts: list[int] = []
            taken = nanoseconds(
                lambda: counts.extend(
                    references_of(nested_walk(memory, guest, second, gva, access)) for gva in gvas
                ),
                pages,
            )
            return walks_per_second(taken, pages, sum(counts))

        pairs = effort.pairs("walk.python", ours, theirs)
    return row("walk.python", "walks/s", "the same walks in Python", pairs, Goal("ratio", ">=", 50))


def references_of(found: object) -> int:
    """How many entries a walk read, if it reached a page."""
    return found.references if isinstance(found, NestedMapping) else 0


def walks_per_second(nanoseconds_each: float, walks: int, references: int) -> float:
    """The speed of ``walks``, if they have read what such walks read."""
    if references != REFERENCES * walks:
        raise InternalError(
            f"{walks} walks should read {REFERENCES * walks} entries, not {references}: please report it."
        )
    return 1e9 / nanoseconds_each


ROWS: dict[str, Measure] = {"miss": miss, "python": python}
