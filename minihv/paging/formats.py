"""Formats of page tables, each a table of levels: one walker and one builder serve them all.

Stands for: what the manuals draw as figures of address translation.
Spec: AMD APM vol. 2, "Long-Mode Page Translation", "5-Level Paging" and "Nested Paging".
Simplified: 64-bit formats only; no legacy 32-bit and PAE tables, no EPT.
Twin: the loop bounds in ``native/core/src/stage.h``.
Next: ``minihv.paging.access``
"""

from dataclasses import dataclass

from minihv.spec.x86_paging import FRAME, LARGE, LARGE_ATTRIBUTE

ENTRY_BYTES = 8
ENTRIES_PER_TABLE = 512
INDEX_BITS = 9


@dataclass(frozen=True, slots=True)
class Level:
    """One level of tables: which bits of an address choose the entry, and what an entry may be."""

    number: int
    name: str
    shift: int
    may_be_page: bool

    @property
    def page_bytes(self) -> int:
        """What one entry covers: a page, or the reach of a table of the next level."""
        return 1 << self.shift

    def entry_address(self, table: int, address: int) -> int:
        """Where in physical memory the entry for ``address`` lies, in the table at ``table``."""
        return table + ENTRY_BYTES * (address >> self.shift & ENTRIES_PER_TABLE - 1)

    def is_page(self, entry: int) -> bool:
        """Whether a present ``entry`` names a page; else it names the next table."""
        return self.number == 1 or (self.may_be_page and bool(entry & LARGE))

    def reserved(self, entry: int) -> int:
        """The bits that this level adds to those reserved in every entry."""
        if not self.may_be_page:
            return LARGE
        if self.number > 1 and entry & LARGE:
            return self.page_bytes - 1 & FRAME & ~LARGE_ATTRIBUTE  # a large page is aligned to its size
        return 0


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of page tables: its levels from the root to the leaves."""

    name: str
    levels: tuple[Level, ...]
    sign_extended: bool

    @property
    def address_bits(self) -> int:
        """The width of the addresses it translates."""
        return self.levels[0].shift + INDEX_BITS

    def translates(self, address: int) -> bool:
        """Whether the tables can have an answer for ``address``, an unsigned number of 64 bits.

        Virtual addresses repeat their highest translated bit above it, the form that manuals call canonical;
        physical ones have zeros there.
        """
        above = address >> self.address_bits - (1 if self.sign_extended else 0)
        all_ones = (1 << 65 - self.address_bits) - 1
        return above == 0 or (self.sign_extended and above == all_ones)

    def level_of(self, page_bytes: int) -> Level | None:
        """The level whose entries name pages of ``page_bytes``, if there is one."""
        return next(
            (level for level in self.levels if level.may_be_page and level.page_bytes == page_bytes), None
        )


PML5 = Level(5, "PML5", 48, may_be_page=False)
PML4 = Level(4, "PML4", 39, may_be_page=False)
PDPT = Level(3, "PDPT", 30, may_be_page=True)
PD = Level(2, "PD", 21, may_be_page=True)
PT = Level(1, "PT", 12, may_be_page=True)

X86_64 = {
    4: Format("x86-64, 4 levels", (PML4, PDPT, PD, PT), sign_extended=True),
    5: Format("x86-64, 5 levels", (PML5, PML4, PDPT, PD, PT), sign_extended=True),
}
"""Virtual to physical, by the number of levels (CR4.LA57)."""

NESTED = {
    4: Format("nested, 4 levels", (PML4, PDPT, PD, PT), sign_extended=False),
    5: Format("nested, 5 levels", (PML5, PML4, PDPT, PD, PT), sign_extended=False),
}
"""Guest physical to system physical. The entries are those of the host's own tables."""
