"""The GPA space: RAM behind tables, overlays in front, and every frame back at the end."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from machines import STACK, SmallMachine

from minihv.errors import AccessError, ConfigurationError, InternalError
from minihv.hypervisor.gpa_space import GpaSpace, Overlay
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.paging.formats import NESTED
from minihv.paging.tables import PageTables
from minihv.spec.x86_paging import DIRTY, USER, WRITABLE
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
        machine.hypervisor.delete_partition(machine.partition.id)
        younger = machine.hypervisor.create_partition("younger", 2 * MIB)
        assert younger.gpa_space.spa_of(0) == machine.partition.gpa_space.spa_of(0)
        assert younger.gpa_space.read(0, 2 * MIB) == bytes(2 * MIB)
