"""Small worlds for pictures: a guest of one page in RAM of 64 KiB, and the second level that holds it."""

from builders import READ

from minihv.eyes.address_map import AddressMap, StageMap, map_stage
from minihv.eyes.walk_picture import WalkPicture, picture_walk
from minihv.paging.access import Access, StageName
from minihv.terms import PAGE_BYTES
from minihv.testing import PageTable, memory_of

GVA = 0x0000_1234_4567_8123
PAGE_GPA = 0x9000
RAM_SPA = 0x20000
RAM_PAGES = 16


class LookedAt:
    """Tables of both stages. Their entries may be changed before a picture is made."""

    def __init__(self, levels: int = 4, second_levels: int = 4) -> None:
        self.memory = memory_of(0x40000)
        self.second = PageTable(self.memory, 0x1000, second_levels)
        for gpa in range(0, RAM_PAGES * PAGE_BYTES, PAGE_BYTES):
            self.second.maps(gpa, to=RAM_SPA + gpa)
        self.tables = PageTable(self.memory, 0x1000, levels, offset=RAM_SPA)
        self.tables.maps(GVA & -PAGE_BYTES, to=PAGE_GPA)

    def walk(self, access: Access = READ, gva: int = GVA, title: str = "") -> WalkPicture:
        """The picture of a walk in both stages."""
        return picture_walk(
            self.memory, self.tables.paging, gva, access, second=self.second.paging, title=title
        )

    def shadow_walk(self, access: Access = READ, gva: int = PAGE_GPA) -> WalkPicture:
        """The picture of a walk in one stage, as if the second level were shadow tables."""
        return picture_walk(self.memory, self.second.paging, gva, access, stage=StageName.SHADOW)

    def guest_map(self) -> StageMap:
        """The map of the guest's tables."""
        return map_stage(self.memory, self.tables.paging, StageName.GUEST, second=self.second.paging)

    def second_map(self, **names: str) -> StageMap:
        """The map of the second level; ``x5000="words"`` names a page."""
        named = {int(name[1:], 16): what for name, what in names.items()}
        return map_stage(self.memory, self.second.paging, StageName.SECOND, names=named)

    def map(self, title: str = "") -> AddressMap:
        """The map of both."""
        return AddressMap((self.guest_map(), self.second_map()), title)

    def table_gpa(self, level: int) -> int:
        """Where the guest's entry of ``level`` lies."""
        return self.tables.way(GVA)[self.tables.levels - level] - RAM_SPA
