"""The GPA space: RAM behind tables, overlays in front, and every frame back at the end."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from machines import STACK, SmallMachine

from minihv.errors import AccessError, ConfigurationError, InternalError
from minihv.hypervisor.gpa_map import READ_WRITE_EXECUTE, Frames
from minihv.hypervisor.gpa_space import GpaSpace, Overlay
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.page_log import LogReader
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.paging.formats import NESTED
from minihv.paging.tables import PageTables
from minihv.spec.x86_paging import DIRTY, NO_EXECUTE, USER, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, MIB, PAGE_BYTES, Gpa, Spa

OWNER = 7
LARGE, SMALL = 4 * MIB, 1 * MIB


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(16 * MIB)
    yield made
    made.close()


def space_of(memory: SystemMemory, byte_count: int) -> GpaSpace:
    space = GpaSpace(memory, OWNER)
    space.add_ram(byte_count)
    return space


def tables_of(memory: SystemMemory, space: GpaSpace) -> PageTables:
    """The same tables, to look at."""
    return PageTables(memory, NESTED[4], lambda: None, lambda _frame: None, root=space.root)


def page_sizes(memory: SystemMemory, space: GpaSpace) -> Counter[int]:
    """How many pages of each size map the RAM."""
    tables, sizes, gpa = tables_of(memory, space), Counter[int](), 0
    while gpa < space.ram_bytes:
        page = tables.find(gpa)
        assert page is not None and page.pa == space.spa_of(gpa)
        sizes[page.page_bytes] += 1
        gpa += page.page_bytes
    return sizes


def overlay(memory: SystemMemory, space: GpaSpace, gpa: int) -> Spa:
    """A frame of the hypervisor's, laid over ``gpa``."""
    spa = memory.frames.allocate(HYPERVISOR)
    space.lay_over(Gpa(gpa), spa, "a test's page")
    return spa


@pytest.mark.parametrize(
    ("byte_count", "sizes"),
    [
        (SMALL, {PAGE_BYTES: 256}),
        (LARGE, {LARGE_PAGE_BYTES: 2}),
        (LARGE + SMALL, {PAGE_BYTES: 1280}),
    ],
)
def test_ram_is_mapped_by_large_pages_only_if_it_is_made_of_them(
    memory: SystemMemory, byte_count: int, sizes: dict[int, int]
) -> None:
    assert page_sizes(memory, space_of(memory, byte_count)) == sizes


def test_ram_is_zeroed_and_belongs_to_the_partition(memory: SystemMemory) -> None:
    memory.frames.allocate(OWNER, memory.frames.free_count)
    memory.view[:] = 0xFF
    memory.frames.free_all(OWNER)
    space = space_of(memory, SMALL)
    assert space.read(0, SMALL) == bytes(SMALL)
    assert memory.frames.owned_by(OWNER) == 256


def test_ram_is_given_once(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    with pytest.raises(InternalError) as refusal:
        space.add_ram(SMALL)
    assert str(refusal.value) == "A partition's RAM is given once, and this partition has it already."


def test_ram_may_be_read_written_and_executed(memory: SystemMemory) -> None:
    page = tables_of(memory, space_of(memory, SMALL)).find(0x5000)
    assert page is not None and page.flags == USER | WRITABLE


def test_gpa_outside_ram_lies_nowhere(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    assert space.spa_of(SMALL) is None and space.spa_of(-1) is None
    assert tables_of(memory, space).find(SMALL) is None


@pytest.mark.parametrize(("gpa", "byte_count"), [(SMALL, 1), (SMALL - 4, 8), (-8, 8), (1 << 64, 0)])
def test_device_access_outside_ram_is_refused(memory: SystemMemory, gpa: int, byte_count: int) -> None:
    space = space_of(memory, SMALL)
    expected = (
        f"Partition 7 has RAM below GPA 0x100000, and {byte_count} bytes at GPA {gpa:#x} do not lie in it: "
        "check the address, or give the partition more memory."
    )
    with pytest.raises(AccessError) as read:
        space.read(gpa, byte_count)
    with pytest.raises(AccessError) as write:
        space.write(gpa, bytes(byte_count))
    assert str(read.value) == str(write.value) == expected


def test_device_write_is_read_back_and_marks_the_pages_it_touches(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    space.write(0x5FFE, b"abcd")
    found = tables_of(memory, space)
    dirty = [page for page in range(0, SMALL, PAGE_BYTES) if found.find(page).entry & DIRTY]  # type: ignore[union-attr]
    assert space.read(0x5FFD, 6) == b"\0abcd\0" and dirty == [0x5000, 0x6000]


def test_device_write_marks_a_large_page_once(memory: SystemMemory) -> None:
    space = space_of(memory, LARGE)
    space.write(0x5000, b"abcd")
    tables = tables_of(memory, space)
    assert [tables.find(page).entry & DIRTY for page in (0, LARGE_PAGE_BYTES)] == [DIRTY, 0]  # type: ignore[union-attr]


def test_device_writes_to_the_ram_behind_an_overlay_and_leaves_its_entry_alone(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    spa = overlay(memory, space, 0x5000)
    before = memory.read(spa, PAGE_BYTES)
    space.write(0x5000, b"behind")
    page = tables_of(memory, space).find(0x5000)
    assert page is not None and page.pa == spa and not page.entry & DIRTY
    assert memory.read(spa, PAGE_BYTES) == before and space.read(0x5000, 6) == b"behind"


def test_overlay_is_readable_and_executable_and_hides_one_page(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    spa = overlay(memory, space, 0x5000)
    tables = tables_of(memory, space)
    page, before, behind = (tables.find(gpa) for gpa in (0x5000, 0x4000, 0x6000))
    assert page is not None and (page.pa, page.flags) == (spa, USER)
    assert before is not None and before.pa == space.spa_of(0x4000)
    assert behind is not None and behind.pa == space.spa_of(0x6000)


def test_overlay_is_found_from_anywhere_in_its_page(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    spa = overlay(memory, space, 0x5000)
    assert space.overlay_at(0x5FFF) == Overlay(Gpa(0x5000), spa, "a test's page")
    assert space.overlay_at(0x4FFF) is None and space.overlay_at(0x6000) is None


def test_overlays_are_listed_until_they_are_lifted(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    overlay(memory, space, 0x5000), overlay(memory, space, 0x3000)
    assert [one.gpa for one in space.overlays] == [0x5000, 0x3000]
    space.lift(Gpa(0x5000))
    assert [one.gpa for one in space.overlays] == [0x3000]


def test_overlay_inside_a_large_page_splits_it(memory: SystemMemory) -> None:
    space = space_of(memory, LARGE)
    spa = overlay(memory, space, 0x20_5000)
    page = tables_of(memory, space).find(0x20_5000)
    assert page is not None and (page.pa, page.page_bytes) == (spa, PAGE_BYTES)
    space.lift(Gpa(0x20_5000))
    assert page_sizes(memory, space) == {LARGE_PAGE_BYTES: 1, PAGE_BYTES: 512}


def test_overlay_beyond_ram_leaves_no_page_when_it_is_lifted(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    before = memory.frames.owned_by(HYPERVISOR)
    spa = overlay(memory, space, 1 << 39)
    page = tables_of(memory, space).find(1 << 39)
    assert page is not None and page.pa == spa
    space.lift(Gpa(1 << 39))
    memory.frames.free(HYPERVISOR, spa)
    assert tables_of(memory, space).find(1 << 39) is None
    assert memory.frames.owned_by(HYPERVISOR) == before


def test_second_overlay_replaces_the_first(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    overlay(memory, space, 0x5000)
    spa = overlay(memory, space, 0x5000)
    space.lift(Gpa(0x5000))
    assert space.overlay_at(0x5000) is None and space.spa_of(0x5000) != spa
    assert page_sizes(memory, space) == {PAGE_BYTES: 256}


def test_lifted_overlay_shows_what_the_guest_had_written_there(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    space.write(0x5000, b"the guest's")
    overlay(memory, space, 0x5000)
    space.lift(Gpa(0x5000))
    page = tables_of(memory, space).find(0x5000)
    assert page is not None and memory.read(page.pa, 11) == b"the guest's"


def test_lifting_where_nothing_lies_changes_nothing(memory: SystemMemory) -> None:
    space = space_of(memory, SMALL)
    space.changed = False
    space.lift(Gpa(0x5000))
    assert not space.changed


@pytest.mark.parametrize("change", ["lay", "lift"])
def test_change_of_the_tables_is_noted_for_the_tlb(memory: SystemMemory, change: str) -> None:
    space = space_of(memory, SMALL)
    if change == "lift":
        overlay(memory, space, 0x5000)
    space.changed = False
    if change == "lay":
        overlay(memory, space, 0x5000)
    else:
        space.lift(Gpa(0x5000))
    assert space.changed


@pytest.mark.parametrize(
    ("gpa", "byte_count", "backed"),
    [
        (0, SMALL, False), (0, 0x5000, True), (0x4FFF, 1, True), (0x4FFF, 2, False), (0x5800, 8, False),
        (0x6000, 8, True), (SMALL - 8, 8, True), (SMALL - 8, 9, False), (-8, 8, False), (1 << 63, 8, False),
    ],
)  # fmt: skip
def test_range_is_backed_when_all_of_it_is_ram_that_no_overlay_hides(
    memory: SystemMemory, gpa: int, byte_count: int, backed: bool
) -> None:
    space = space_of(memory, SMALL)
    overlay(memory, space, 0x5000)
    assert space.is_backed(gpa, byte_count) is backed


def test_release_gives_every_frame_back(memory: SystemMemory) -> None:
    before = memory.frames.free_count
    space = space_of(memory, LARGE)
    frames = [overlay(memory, space, gpa) for gpa in (0x5000, 0x20_5000, 1 << 39)]
    space.release()
    for spa in frames:
        memory.frames.free(HYPERVISOR, spa)
    assert memory.frames.free_count == before


def test_guest_sees_its_own_page_again_after_the_overlay_is_lifted() -> None:
    code = "mov rbx, [0x8000]; out 0x10, al; mov rsi, [0x8000]; hlt"
    with SmallMachine(code) as machine:
        machine.write(0x8000, 0x1234)
        overlay(machine.hypervisor.memory, machine.partition.gpa_space, 0x8000)
        machine.enter()
        machine.partition.gpa_space.lift(Gpa(0x8000))
        machine.hypervisor.complete_port(machine.vp)
        machine.run()
        assert machine.vp.read("rbx") != 0x1234 and machine.vp.read("rsi") == 0x1234


ACTIONS = st.tuples(
    st.sampled_from(("create", "create", "overlay", "overlay", "lift", "delete")), st.integers(0, 1 << 16)
)
SIZES = (MIB, 2 * MIB, 3 * MIB, 16 * MIB)


def act(hypervisor: Hypervisor, action: str, number: int) -> str:
    """One step in the life of the machine; what came of it."""
    living = list(hypervisor.partitions.values())
    if action == "create":
        try:
            hypervisor.create_partition("p", SIZES[number % 4], vps=number % 3 + 1)
        except ConfigurationError:
            return "refused"
    elif living and action == "delete":
        hypervisor.delete_partition(living[number % len(living)].id)
    elif living:
        page = Gpa((number >> 4) * PAGE_BYTES) if action == "overlay" else None
        living[number % len(living)].set_hypercall_page(page)
    return action if living or action == "create" else "nothing to do"


def lived(actions: list[tuple[str, int]]) -> list[str]:
    """What came of ``actions`` on a machine that has all its frames again at the end."""
    with Hypervisor(machine_bytes(4 * MIB)) as hypervisor:
        before = hypervisor.memory.frames.free_count
        outcomes = [act(hypervisor, *action) for action in actions]
        for partition_id in list(hypervisor.partitions):
            hypervisor.delete_partition(partition_id)
        assert hypervisor.memory.frames.free_count == before
        return outcomes


def test_machine_whose_partitions_are_deleted_has_all_its_frames_again() -> None:
    seen: Counter[str] = Counter()

    @given(st.lists(ACTIONS, min_size=6, max_size=12))
    def check(actions: list[tuple[str, int]]) -> None:
        for outcome in lived([("create", 1), *actions]):
            event(outcome)
            seen[outcome] += 1

    check()
    shares = {name: seen[name] / seen.total() for name in ("create", "overlay", "delete", "refused")}
    assert min(shares.values()) > 0.01, shares


COMING_AND_GOING = st.tuples(
    st.sampled_from(("create", "create", "overlay", "delete")), st.integers(0, 1 << 16)
)


def test_memory_of_a_new_partition_is_zero_whatever_the_others_did() -> None:
    seen: Counter[bool] = Counter()

    @given(st.lists(COMING_AND_GOING, min_size=2, max_size=12))
    def check(actions: list[tuple[str, int]]) -> None:
        with Hypervisor(machine_bytes(6 * MIB)) as hypervisor:
            known: set[int] = set()
            for action in actions:
                act(hypervisor, *action)
                for partition_id in hypervisor.partitions.keys() - known:
                    seen[assert_zero_and_scribble(hypervisor, partition_id)] += 1
                    known.add(partition_id)

    check()
    assert seen[True] / seen.total() > 0.05, seen


def assert_zero_and_scribble(hypervisor: Hypervisor, partition_id: int) -> bool:
    """A new partition's memory is zero; all of it is used then. Whether some of it had been used before."""
    frames, space = hypervisor.memory.frames, hypervisor.partitions[partition_id].gpa_space
    spa = space.spa_of(0)
    assert spa is not None and frames.owned_by(partition_id) * PAGE_BYTES == space.ram_bytes
    ram = hypervisor.memory.view[spa : spa + space.ram_bytes]
    assert not ram.any()
    ram[:] = 0xFF
    for vp in hypervisor.partitions[partition_id].vps:
        assert not any(hypervisor.memory.read(vp.vmcb_spa + 0x400, 0xC00))
        hypervisor.memory.write(vp.vmcb_spa + 0x400, b"\xff" * 0xC00)
    return bool(frames.used[frames.owners == partition_id].any())


def test_partition_finds_nothing_of_what_a_guest_left_there() -> None:
    fill = f"mov rdi, {STACK}; mov ecx, 0x10000; mov eax, 0xAB; rep stosb; hlt"
    with SmallMachine(fill) as machine:
        machine.run(100_000)
        assert machine.read(STACK + 0xFFF8) == 0xABAB_ABAB_ABAB_ABAB
        first = machine.partition.gpa_space.spa_of(0)
        machine.hypervisor.delete_partition(machine.partition.id)
        younger = machine.hypervisor.create_partition("younger", 2 * MIB)
        assert first is not None and younger.gpa_space.spa_of(0) == first
        assert younger.gpa_space.read(0, 2 * MIB) == bytes(2 * MIB)


# Pages of others, mapped here.

DONOR = 3


def guest_of(memory: SystemMemory) -> tuple[GpaSpace, GpaSpace]:
    """A donor with 4 MiB of RAM, and a space without any."""
    donor = GpaSpace(memory, DONOR)
    donor.add_ram(LARGE)
    return donor, GpaSpace(memory, OWNER)


def frames_of(space: GpaSpace, gpn: int, count: int) -> Frames:
    found = space.spns(gpn, count)
    assert found is not None
    return found


def test_page_is_seen_in_both_spaces_and_stays_the_donor_s(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    space.map_pages(0x40, frames_of(donor, 5, 2), READ_WRITE_EXECUTE)
    space.write(0x4_0FFC, b"across pages")
    assert donor.read(0x5FFC, 12) == b"across pages" and space.ram_bytes == 0x4_2000
    assert memory.frames.owned_by(OWNER) == 0
    assert memory.frames.shares[frames_of(donor, 5, 2)].tolist() == [1, 1]


def test_pages_in_any_order_read_as_one_range(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    donor.write(0, bytes(range(8)) * 2048)
    space.map_pages(0, frames_of(donor, 0, 4)[[3, 1, 2, 0]], READ_WRITE_EXECUTE)
    space.write(0xFF0, b"one write over three pages".ljust(0x1020, b"."))
    assert space.read(0xFF0, 0x1020) == b"one write over three pages".ljust(0x1020, b".")
    assert donor.read(0x3FF0, 16) == b"one write over t" and donor.read(0x2000, 16) == b"." * 16


@pytest.mark.parametrize(
    ("rights", "readable", "writable"),
    [(0, False, False), (1, True, False), (3, True, True), (5, True, False), (7, True, True)],
)
def test_device_may_do_what_the_partition_may(
    memory: SystemMemory, rights: int, readable: bool, writable: bool
) -> None:
    donor, space = guest_of(memory)
    space.map_pages(0, frames_of(donor, 0, 2), rights)
    assert (space.is_backed(8, 8), space.is_backed(8, 8, writable=True)) == (readable, writable)
    assert (space.is_backed(8, 5000), space.rights_of(8)) == (readable, rights)
    assert (space.spns(0, 2) is not None, space.spns(0, 2, 3) is not None) == (readable, writable)
    refused = ([] if readable else ["read"]) + ([] if writable else ["write"])
    for verb in refused:
        with pytest.raises(AccessError) as refusal:
            space.read(0, 8) if verb == "read" else space.write(0, bytes(8))
        assert str(refusal.value) == (
            f"Partition 7 may not {verb} all of 8 bytes at GPA 0x0: map pages there that allow it."
        )


@pytest.mark.parametrize("chunk", [509, 512, 100])
def test_large_pages_are_formed_when_the_last_small_one_comes(memory: SystemMemory, chunk: int) -> None:
    donor, space = guest_of(memory)
    for gpn in range(0, 1024, chunk):
        count = min(chunk, 1024 - gpn)
        space.map_pages(gpn, frames_of(donor, gpn, count), READ_WRITE_EXECUTE)
    assert page_sizes(memory, space) == {LARGE_PAGE_BYTES: 2} and space.table_frames == 3


def test_page_that_is_taken_out_of_a_large_one_leaves_the_others(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    space.map_pages(0, frames_of(donor, 0, 1024), READ_WRITE_EXECUTE)
    space.unmap_pages(0x205, 2)
    assert space.spa_of(0x20_5000) is None and space.find(0x20_6000) is None and space.find(0x20_7000)
    space.map_pages(0x205, frames_of(donor, 0x205, 2), READ_WRITE_EXECUTE)
    assert page_sizes(memory, space) == {LARGE_PAGE_BYTES: 2}
    assert memory.frames.shares.sum() == 1024


def test_large_page_is_not_formed_around_an_overlay(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    spa = overlay(memory, space, 0x5000)
    space.map_pages(0, frames_of(donor, 0, 512), READ_WRITE_EXECUTE)
    shown = space.find(0x5000)
    assert shown is not None and shown.pa == spa and space.spa_of(0x5000) == donor.spa_of(0x5000)
    space.lift(Gpa(0x5000))
    assert page_sizes(memory, space) == {PAGE_BYTES: 512}


def test_log_hears_of_pages_that_come_and_go(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    space.map_pages(0, frames_of(donor, 0, 512), READ_WRITE_EXECUTE)
    with space.dirty_log.reader() as reader:
        space.map_pages(600, frames_of(donor, 600, 3), READ_WRITE_EXECUTE)
        space.unmap_pages(9, 1)
        space.write(7 * PAGE_BYTES, b"a")
        assert reader.take().gpns() == [7, 9, 600, 601, 602]
        space.write(602 * PAGE_BYTES, b"a")
        space.map_pages(9, frames_of(donor, 9, 1), READ_WRITE_EXECUTE)
        assert reader.take().gpns() == [9, 602]
        page = space.find(0)
        assert page is not None and page.page_bytes == PAGE_BYTES
        space.unmap_pages(0, 1)
    assert space.find(PAGE_BYTES) is not None


def test_frames_for_tables_are_there_before_anything_changes(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    while memory.frames.free_count > 3:
        memory.frames.allocate(1)
    with pytest.raises(ConfigurationError) as refusal:
        space.map_pages(0x1FF, frames_of(donor, 0, 2), READ_WRITE_EXECUTE)
    assert str(refusal.value) == (
        "Tables for 2 pages at GPA 0x1ff000 take up to 4 frames, and 3 are there: deposit more memory."
    )
    assert space.ram_bytes == 0 and not memory.frames.shares.any() and memory.frames.free_count == 3


def test_rights_that_no_table_can_say_are_a_bug(memory: SystemMemory) -> None:
    donor, space = guest_of(memory)
    with pytest.raises(InternalError) as refusal:
        space.map_pages(0, frames_of(donor, 0, 1), 2)
    assert str(refusal.value) == (
        "Pages are mapped R, RW, RX, RWX or not at all, and below 1 TiB: not with rights 2 up to page 0x1."
    )


def test_released_space_shares_nothing_any_more(memory: SystemMemory) -> None:
    free = memory.frames.free_count
    donor, space = guest_of(memory)
    space.map_pages(0x300, frames_of(donor, 0, 700), READ_WRITE_EXECUTE)
    overlay(memory, space, 0x5000)
    space.release()
    assert not memory.frames.shares.any() and space.table_frames == 0
    donor.release()
    assert memory.frames.free_count == free - 1


CHANGES = st.tuples(
    st.sampled_from(("map", "row", "row", "unmap", "overlay", "lift", "hold", "drop")),
    st.sampled_from((0, 1, 200, 509, 510, 511, 512, 700, 1020)),
    st.sampled_from((1, 2, 30, 509, 512)),
    st.sampled_from((0, 1, 3, 5, 7, 7, 7)),
)


class TwoViews:
    """A space, and a dictionary that says what it should hold."""

    def __init__(self, memory: SystemMemory) -> None:
        self.memory = memory
        self.donor, self.space = guest_of(memory)
        self.pages: dict[int, tuple[int, int]] = {}
        self.overlays: dict[int, int] = {}
        self.readers: list[LogReader] = []

    def act(self, action: str, gpn: int, count: int, rights: int) -> None:
        """One change of both."""
        if action in ("map", "row"):
            frames = frames_of(self.donor, 0, 1024)[gpn:][:count]
            frames = frames[::-1].copy() if action == "map" else frames
            self.space.map_pages(gpn, frames, rights)
            self.pages |= {gpn + at: (int(spn), rights) for at, spn in enumerate(frames)}
        elif action == "unmap":
            self.space.unmap_pages(gpn, count)
            self.pages = {at: page for at, page in self.pages.items() if not gpn <= at < gpn + count}
        elif action == "overlay":
            self.overlays[gpn] = overlay(self.memory, self.space, gpn * PAGE_BYTES)
        elif action == "lift":
            self.space.lift(Gpa(gpn * PAGE_BYTES))
            self.overlays.pop(gpn, None)
        elif action == "hold":
            self.readers.append(self.space.dirty_log.reader())
        elif self.readers:
            self.readers.pop().close()

    def check(self) -> int:
        """Tables show what the dictionary says; how many large pages they have."""
        large = 0
        for gpn in range(1100):
            page = self.space.find(gpn * PAGE_BYTES)
            spn, rights = self.pages.get(gpn, (None, 0))
            assert self.space.spa_of(gpn * PAGE_BYTES) == (None if spn is None else spn * PAGE_BYTES)
            if gpn in self.overlays:
                assert page is not None and page.pa == self.overlays[gpn] and page.page_bytes == PAGE_BYTES
            elif not rights:
                assert page is None
            else:
                assert page is not None and page.pa + gpn * PAGE_BYTES - page.va == (spn or 0) * PAGE_BYTES
                assert bool(page.entry & WRITABLE) == bool(rights & 2)
                assert bool(page.entry & NO_EXECUTE) == (not rights & 4)
                large += page.page_bytes != PAGE_BYTES
        return large


def test_tables_show_what_was_mapped_whatever_came_before() -> None:
    seen: Counter[str] = Counter()

    @given(st.booleans(), st.lists(CHANGES, min_size=2, max_size=5))
    def check(full: bool, changes: list[tuple[str, int, int, int]]) -> None:
        memory = SystemMemory(6 * MIB)
        try:
            views = TwoViews(memory)
            begin = [("row", 0, 512, 7), ("row", 512, 512, 7)] if full else []
            for change in [*begin, *changes]:
                views.act(*change)
            seen["large" if views.check() else "small"] += 1
            frames, donor = memory.frames, views.donor
            assert frames.shares.sum() == len(views.pages)
            views.space.release()
            donor.release()
            assert not frames.shares.any() and frames.owned_by(DONOR) == 0
        finally:
            memory.close()

    check()
    assert seen["large"] / seen.total() > 0.05, seen
