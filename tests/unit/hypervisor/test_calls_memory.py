"""The calls about memory: pools that pay, maps of pages, and accesses to a few bytes."""

import pytest
from calling_parent import FREE_FROM, Parent
from calls_made import call, words
from machines import SmallMachine, counts

from minihv.errors import AccessError
from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.gpa_space import MOST_PAGES
from minihv.hypervisor.privileges import PARENT
from minihv.machine.frames import HYPERVISOR
from minihv.spec.hypercalls import CallCode, Status
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, Gpa

DEPOSIT, WITHDRAW, BALANCE = CallCode.DEPOSIT_MEMORY, CallCode.WITHDRAW_MEMORY, CallCode.GET_MEMORY_BALANCE
MAP, SPARSE, UNMAP = CallCode.MAP_GPA_PAGES, CallCode.MAP_SPARSE_GPA_PAGES, CallCode.UNMAP_GPA_PAGES
READ, WRITE = CallCode.READ_GPA, CallCode.WRITE_GPA
CREATE_VP, FINALIZE, DELETE = CallCode.CREATE_VP, CallCode.FINALIZE_PARTITION, CallCode.DELETE_PARTITION


def balance(parent: Parent, child: int) -> tuple[int, int]:
    """Frames of the pool that are unused, and in use."""
    assert parent.status(BALANCE, child, 0) is Status.SUCCESS
    return parent.output(), parent.output(at=8)


# Memory pools.


def test_deposited_page_is_not_the_parent_s_until_it_comes_back() -> None:
    with Parent() as parent:
        child, frames = parent.create(), parent.hypervisor.memory.frames
        parent.space.write(FREE_FROM * PAGE_BYTES, b"secret")
        mine = frames.owned_by(1)
        assert parent.deposit(child, [FREE_FROM]) == (Status.SUCCESS, 1)
        assert balance(parent, child) == (1, 0) and frames.owned_by(1) == mine - 1
        with pytest.raises(AccessError):
            parent.space.read(FREE_FROM * PAGE_BYTES, 1)
        assert parent.call(WITHDRAW, words(child, 0), count=1) == (Status.SUCCESS, 1)
        assert parent.output() == FREE_FROM and frames.owned_by(1) == mine
        assert parent.space.read(FREE_FROM * PAGE_BYTES, 6) == bytes(6)


def test_withdrawal_ends_with_the_last_unused_page() -> None:
    with Parent() as parent:
        child = parent.active(5)
        assert balance(parent, child) == (3, 2)
        assert parent.call(WITHDRAW, words(child, 0), count=7) == (Status.NO_RESOURCES, 3)
        assert balance(parent, child) == (0, 2)
        assert parent.call(WITHDRAW, words(child, 0), count=9, start=4) == (Status.NO_RESOURCES, 4)


def test_parent_s_large_page_is_whole_again_after_the_withdrawal() -> None:
    with Parent() as parent:
        child = parent.create()
        parent.deposit(child, [0x400, 0x405, 0x5FF])
        assert parent.call(WITHDRAW, words(child, 0), count=3) == (Status.SUCCESS, 3)
        page = parent.space.find(0x400 * PAGE_BYTES)
        assert page is not None and page.page_bytes == LARGE_PAGE_BYTES


def test_page_that_is_in_use_or_nobody_s_is_not_deposited() -> None:
    with Parent() as parent:
        child = parent.active()
        parent.map(child, 0, [0x300])
        parent.partition.set_hypercall_page(Gpa(0x301 * PAGE_BYTES))
        assert parent.deposit(child, [0x302, 0x300]) == (Status.OBJECT_IN_USE, 1)
        assert parent.deposit(child, [0x301]) == (Status.OBJECT_IN_USE, 0)
        assert parent.deposit(child, [0x303, 0x303]) == (Status.INVALID_PARAMETER, 1)
        assert parent.deposit(child, [1 << 52]) == (Status.INVALID_PARAMETER, 0)


def test_pool_is_a_child_s_and_needs_a_privilege() -> None:
    with Parent() as parent:
        assert parent.deposit(SELF, [FREE_FROM]) == (Status.ACCESS_DENIED, 0)
        child = parent.boot("hlt")
        child.partition.privileges = PARENT
        assert parent.call(DEPOSIT, words(SELF), [words(0)], caller=child.vp)[0] is Status.ACCESS_DENIED
        assert parent.call(WITHDRAW, words(SELF, 0), count=1, caller=child.vp)[0] is Status.ACCESS_DENIED
        for code in (DEPOSIT, WITHDRAW, BALANCE):
            parent.partition.privileges = PARENT & ~PARENT.ACCESS_MEMORY_POOL
            count = 0 if code == BALANCE else 1
            elements = [words(0)] if code == DEPOSIT else []
            status = parent.call(code, words(child.id, 0), elements, count=count)[0]
            assert status is Status.ACCESS_DENIED


def test_machine_without_a_frame_to_split_a_large_page_deposits_nothing() -> None:
    with Parent() as parent:
        child, frames = parent.create(), parent.hypervisor.memory.frames
        while frames.free_count:
            frames.allocate(HYPERVISOR)
        assert parent.deposit(child, [0x400]) == (Status.NO_RESOURCES, 0)
        assert parent.space.spa_of(0x400 * PAGE_BYTES) is not None


def test_tables_and_vps_are_paid_for_and_come_back() -> None:
    with Parent() as parent:
        child = parent.active(10)
        assert balance(parent, child) == (8, 2)
        assert parent.map(child, 0, parent.pages(3)) == (Status.SUCCESS, 3)
        assert balance(parent, child) == (5, 5)
        assert parent.status(CREATE_VP, child, 0, 0, 0) is Status.SUCCESS
        assert balance(parent, child) == (4, 6)
        assert parent.status(CallCode.DELETE_VP, child, 0) is Status.SUCCESS
        assert parent.call(UNMAP, words(child, 0), count=3) == (Status.SUCCESS, 3)
        assert balance(parent, child) == (8, 2)
        assert parent.status(FINALIZE, child) is Status.SUCCESS
        assert balance(parent, child) == (10, 0)


def test_pool_that_is_too_small_refuses_and_changes_nothing() -> None:
    with Parent() as parent:
        child, pages = parent.active(4), parent.pages(3)
        assert parent.map(child, 0, pages) == (Status.INSUFFICIENT_MEMORY, 0)
        assert balance(parent, child) == (2, 2)
        assert not parent.hypervisor.memory.frames.shares.any()
        parent.deposit(child, parent.pages(1))
        assert parent.map(child, 0, pages) == (Status.SUCCESS, 3)
        assert parent.status(CREATE_VP, child, 0, 0, 0) is Status.INSUFFICIENT_MEMORY
        assert parent.hypervisor.partitions[child].vps == []


def test_deleted_partition_gives_its_pool_back() -> None:
    with Parent() as parent:
        frames = parent.hypervisor.memory.frames
        mine = frames.owned_by(1)
        child = parent.active(10)
        parent.map(child, 0, parent.pages(700))
        assert parent.status(FINALIZE, child) is Status.SUCCESS
        assert parent.status(DELETE, child) is Status.SUCCESS
        assert frames.owned_by(1) == mine and not frames.shares.any()
        assert parent.space.is_backed(0, parent.space.ram_bytes)


# GPA maps.


def test_child_sees_the_pages_of_its_parent() -> None:
    with Parent() as parent:
        child, pages = parent.active(), parent.pages(2)
        parent.space.write(pages[1] * PAGE_BYTES, b"for the child")
        assert parent.map(child, 0x77, pages) == (Status.SUCCESS, 2)
        space = parent.hypervisor.partitions[child].gpa_space
        assert space.read(0x78 * PAGE_BYTES, 13) == b"for the child"


def test_two_mebibytes_that_fit_are_one_large_page() -> None:
    with Parent() as parent:
        child = parent.active()
        assert parent.map(child, 0x200, range(0x400, 0x600)) == (Status.SUCCESS, 512)
        page = parent.hypervisor.partitions[child].gpa_space.find(0x20_0000)
        assert page is not None and page.page_bytes == LARGE_PAGE_BYTES


def test_repeated_map_begins_where_it_is_told() -> None:
    with Parent() as parent:
        child, pages = parent.active(), parent.pages(3)
        elements = [words(page) for page in pages]
        assert parent.call(MAP, words(child, 0x50, 7), elements, start=2) == (Status.SUCCESS, 3)
        space = parent.hypervisor.partitions[child].gpa_space
        assert [space.spa_of(gpn << 12) is not None for gpn in (0x50, 0x51, 0x52)] == [False, False, True]
        assert space.spa_of(0x52 << 12) == parent.space.spa_of(pages[2] << 12)


def test_map_goes_up_to_the_first_page_that_cannot_be() -> None:
    with Parent() as parent:
        child, pages = parent.active(), parent.pages(2)
        beyond = parent.space.ram_bytes // PAGE_BYTES
        assert parent.map(child, 0, [*pages, beyond, pages[0]]) == (Status.INVALID_PARAMETER, 2)
        assert parent.map(child, MOST_PAGES - 1, pages) == (Status.INVALID_PARAMETER, 1)
        assert parent.map(child, (1 << 64) - 1, pages) == (Status.INVALID_PARAMETER, 0)
        assert parent.map(child, 5, [1 << 63]) == (Status.INVALID_PARAMETER, 0)


@pytest.mark.parametrize("rights", [2, 4, 6, 8, 0xF])
def test_rights_that_no_table_can_say_are_refused(rights: int) -> None:
    with Parent() as parent:
        child = parent.active()
        assert parent.map(child, 0, parent.pages(1), rights) == (Status.INVALID_PARAMETER, 0)


def test_sparse_map_names_both_pages() -> None:
    with Parent() as parent:
        child, pages = parent.active(), parent.pages(4)
        targets = [9, 10, 0x2000, 3]
        elements = [words(*pair) for pair in zip(targets, pages, strict=True)]
        assert parent.call(SPARSE, words(child, 3), elements) == (Status.SUCCESS, 4)
        space = parent.hypervisor.partitions[child].gpa_space
        assert [space.spa_of(gpn << 12) for gpn in targets] == [parent.space.spa_of(p << 12) for p in pages]
        assert parent.call(SPARSE, words(child, 7), [words(3, pages[0]), words(1 << 60, 0)]) == (
            Status.INVALID_PARAMETER,
            1,
        )


def test_sparse_map_ends_where_the_pool_does() -> None:
    with Parent() as parent:
        child, pages = parent.active(6), parent.pages(2)
        elements = [words(9, pages[0]), words(1 << 20, pages[1])]
        assert parent.call(SPARSE, words(child, 3), elements) == (Status.INSUFFICIENT_MEMORY, 1)


def test_unmapped_pages_are_gone_from_the_child_only() -> None:
    with Parent() as parent:
        child = parent.active()
        parent.map(child, 0, range(0x400, 0x600))
        assert parent.call(UNMAP, words(child, 0x10), count=4, start=1) == (Status.SUCCESS, 4)
        space = parent.hypervisor.partitions[child].gpa_space
        assert [space.spa_of(gpn << 12) is None for gpn in range(0x10, 0x15)] == [False, *[True] * 3, False]
        assert parent.space.is_backed(0x400 * PAGE_BYTES, LARGE_PAGE_BYTES)
        assert parent.call(UNMAP, words(child, MOST_PAGES), count=1) == (Status.INVALID_PARAMETER, 0)
        assert parent.call(UNMAP, words(SELF, 0), count=1) == (Status.ACCESS_DENIED, 0)


def test_large_page_that_cannot_be_split_is_not_unmapped() -> None:
    with Parent() as parent:
        child = parent.active(6)
        parent.map(child, 0, range(0x400, 0x600))
        assert parent.call(WITHDRAW, words(child, 0), count=9)[0] is Status.NO_RESOURCES
        assert parent.call(UNMAP, words(child, 0), count=1) == (Status.INSUFFICIENT_MEMORY, 0)
        assert parent.call(UNMAP, words(child, 0), count=512) == (Status.SUCCESS, 512)


@pytest.mark.parametrize("code", [MAP, SPARSE])
def test_memory_of_the_caller_and_of_strangers_is_not_mapped(code: CallCode) -> None:
    with Parent() as parent:
        element = [words(0, 0)[: 8 if code == MAP else 16]]
        assert parent.call(code, words(SELF, 0, 7), element) == (Status.ACCESS_DENIED, 0)
        assert parent.call(code, words(99, 0, 7), element) == (Status.INVALID_PARTITION_ID, 0)
        child = parent.create()
        assert parent.call(code, words(child, 0, 7), element) == (Status.INVALID_PARTITION_STATE, 0)


def test_child_runs_on_pages_in_any_order_until_they_are_taken_away() -> None:
    code = "mov rax, 0x1234; mov [0x9000], rax; out 0x10, al; mov rbx, [0x9000]; hlt"
    with Parent() as parent:
        child = parent.boot(code)
        spare = parent.pages(1)[0]
        assert parent.map(child.id, 9, [spare]) == (Status.SUCCESS, 1)
        child.run()
        assert parent.space.read(spare * PAGE_BYTES, 8) == words(0x1234)
        assert counts(child.vp.counters.exits, 256) == {0x7B: 1, 0x78: 1}
        assert child.vp.read("rbx") == 0x1234


# A few bytes.


def test_bytes_of_a_child_are_read_and_written() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.call(WRITE, words(child.id, 5 << 32, 0x9000, 0) + b"hello" + bytes(11)) == (0, 0)
        assert parent.output() == 0 and parent.space.read(child.base + 0x9000, 8) == b"hello\0\0\0"
        assert parent.call(READ, words(child.id, 7 << 32, 0x9001, 0)) == (Status.SUCCESS, 0)
        assert parent.output() == 0 and parent.output(16, at=8) == int.from_bytes(b"ello", "little")


@pytest.mark.parametrize(
    ("rights", "read", "write"), [(0, 2, 3), (1, 0, 3), (3, 0, 0), (5, 0, 3), (7, 0, 0), (None, 1, 1)]
)
def test_access_that_is_not_granted_is_told(rights: int | None, read: int, write: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        if rights is None:
            parent.call(UNMAP, words(child.id, 9), count=1)
        else:
            parent.map(child.id, 9, parent.pages(1), rights)
        assert parent.call(READ, words(child.id, 8 << 32, 0x9000, 0)) == (Status.SUCCESS, 0)
        assert parent.output() == read
        assert parent.call(WRITE, words(child.id, 8 << 32, 0x9000, 0)) == (Status.SUCCESS, 0)
        assert parent.output() == write


def test_access_to_an_overlay_is_refused() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        child.partition.set_hypercall_page(Gpa(0x9000))
        assert parent.call(READ, words(child.id, 8 << 32, 0x9000, 0))[0] is Status.SUCCESS
        assert parent.output() == 4


@pytest.mark.parametrize(
    ("vp", "byte_count", "gpa", "status"),
    [
        (1, 8, 0, Status.INVALID_VP_INDEX),
        (0, 17, 0, Status.INVALID_PARAMETER),
        (0, 2, 0xFFF, Status.INVALID_PARAMETER),
    ],
)
def test_access_that_cannot_be_is_refused(vp: int, byte_count: int, gpa: int, status: Status) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        header = words(child.id, vp | byte_count << 32, gpa, 0)
        assert parent.call(READ, header)[0] is status and parent.call(WRITE, header)[0] is status
        assert parent.call(READ, words(SELF, 1 << 32, 0, 0))[0] is Status.ACCESS_DENIED


def test_adopted_partition_has_no_pool() -> None:
    with SmallMachine(partitions=2, privileges=PARENT) as machine:
        child = machine.add_partition("adopted", "hlt")
        child.parent_id = 1
        assert call(machine, BALANCE, words(child.id, 0)) == (Status.OPERATION_DENIED, 0)
