"""Partition calls in any order: states, statuses, and every frame owned once and returned in the end."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from assembler import assemble
from calling_parent import FREE_FROM, Parent
from calls_made import words
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from machines import CODE, enter_at, system_structures

from minihv.hypervisor.pool import MemoryPool
from minihv.hypervisor.states import PartitionState
from minihv.machine.frames import HYPERVISOR
from minihv.spec.hypercalls import CallCode, RegisterName, Status
from minihv.spec.intercepts import InterceptType
from minihv.terms import MIB, PAGE_BYTES

UNINITIALIZED, ACTIVE, FINALIZED = PartitionState
MEBIBYTES = 8
PAGES = MEBIBYTES * MIB // PAGE_BYTES
SMALL_RAM = 0x120
"""Pages of a child that runs: up to the handlers, and the tables of 2 MiB behind which nothing more is."""
SOURCES = st.integers(FREE_FROM - 2, PAGES - 520) | st.integers(PAGES - 20, PAGES + 2)
TARGETS = st.sampled_from((0, 1, 0x1FE, 0x1FF, 0x200, 0x300, 1 << 18))
RIGHTS = st.sampled_from((7, 7, 7, 7, 3, 1, 0, 2))
COUNTS = st.sampled_from((1, 2, 7, 509))
CODES = ("hlt", "in al, 0x70; hlt", "mov rax, [0x1ff000]; hlt", "lidt [0x8000]; ud2", "1: jmp 1b")
SEEN: Counter[str] = Counter()


@dataclass
class Model:
    """What a child should be."""

    state: PartitionState = UNINITIALIZED
    pool: set[int] = field(default_factory=set)
    pages: dict[int, int] = field(default_factory=dict)
    vps: int = 0


class Calls(RuleBasedStateMachine):
    """A parent, and what it should know of its children. A call names one of them, or one that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.parent = Parent(MEBIBYTES)
        self.frames = self.parent.hypervisor.memory.frames
        self.before = self.frames.owners.copy()
        self.models: dict[int, Model] = {}
        self.gone: list[int] = [77]

    def teardown(self) -> None:
        for child, model in list(self.models.items()):
            if model.state is ACTIVE:
                assert self.parent.status(CallCode.FINALIZE_PARTITION, child) is Status.SUCCESS
            assert self.parent.status(CallCode.DELETE_PARTITION, child) is Status.SUCCESS
        assert not self.frames.shares.any()
        assert Counter(self.frames.owners.tolist()) == Counter(self.before.tolist())
        assert np.array_equal(self.frames.owners == 1, self.before == 1)
        self.parent.hypervisor.close()

    def pick(self, number: int) -> tuple[int, Model]:
        """A child, or now and then one that is no more."""
        living = list(self.models)
        child = self.gone[-1] if number == 0 or not living else living[number % len(living)]
        return child, self.models.get(child, Model(state=FINALIZED))

    def expected(self, child: int, *states: PartitionState) -> Status | None:
        """The status with which every call for ``states`` refuses; None: it does not."""
        if child not in self.models:
            return Status.INVALID_PARTITION_ID
        return None if self.models[child].state in states else Status.INVALID_PARTITION_STATE

    def note(self, what: str, status: Status) -> None:
        """One more call that ended so."""
        event(f"{what}: {status.name}")
        SEEN[status.name] += 1

    def taken(self) -> set[int]:
        """Pages that are in a memory pool."""
        return set().union(*(model.pool for model in self.models.values()))

    @initialize()
    def begin_with_two(self) -> None:
        for frames in (12, 30):
            self.create()
            child = max(self.models)
            pages = self.parent.pages(frames)
            assert self.parent.deposit(child, pages) == (Status.SUCCESS, frames)
            assert self.parent.status(CallCode.INITIALIZE_PARTITION, child) is Status.SUCCESS
            self.models[child] = Model(ACTIVE, set(pages))
            self.change_vps_of(child, self.models[child], more=True)

    @rule()
    def create(self) -> None:
        if len(self.models) < 4:
            self.models[self.parent.create()] = Model()

    @rule(number=st.integers(0, 7), first=SOURCES, count=st.sampled_from((1, 3, 12)))
    def deposit(self, number: int, first: int, count: int) -> None:
        child, model = self.pick(number)
        status, done = self.parent.deposit(child, range(first, first + count))
        refused = self.expected(child, UNINITIALIZED, ACTIVE)
        self.note("deposit", status)
        if refused is not None:
            assert (status, done) == (refused, 0)
            return
        mapped = {page for one in self.models.values() for page in one.pages.values()}
        pages = range(first, first + count)
        bad = [page for page in pages if page >= PAGES or page in self.taken() or page in mapped]
        usable = pages[: bad[0] - first] if bad else pages
        expected = Status.SUCCESS
        if bad:
            expected = Status.OBJECT_IN_USE if bad[0] in mapped else Status.INVALID_PARAMETER
        assert (status, done) == (expected, len(usable))
        model.pool |= set(usable)

    @rule(number=st.integers(0, 7), chosen=st.integers(0, 63))
    def deposit_what_a_child_uses(self, number: int, chosen: int) -> None:
        mapped = sorted({page for one in self.models.values() for page in one.pages.values()})
        if mapped:
            self.deposit(number, mapped[chosen % len(mapped)], 1)

    @rule(number=st.integers(0, 7), count=st.sampled_from((1, 5, 509)))
    def withdraw(self, number: int, count: int) -> None:
        child, model = self.pick(number)
        status, done = self.parent.call(CallCode.WITHDRAW_MEMORY, words(child, 0), count=count)
        self.note("withdraw", status)
        if child not in self.models:
            assert (status, done) == (Status.INVALID_PARTITION_ID, 0)
            return
        assert status is (Status.SUCCESS if done == count else Status.NO_RESOURCES)
        returned = {self.parent.output(at=8 * index) for index in range(done)}
        assert len(returned) == done and returned <= model.pool
        model.pool -= returned
        assert model.state is not FINALIZED or status is Status.SUCCESS or not model.pool

    @rule(number=st.integers(0, 7))
    def make_active(self, number: int) -> None:
        child, model = self.pick(number)
        status = self.parent.status(CallCode.INITIALIZE_PARTITION, child)
        self.note("initialize", status)
        refused = self.expected(child, UNINITIALIZED)
        if refused is None:
            assert status is (Status.SUCCESS if len(model.pool) >= 2 else Status.INSUFFICIENT_MEMORY)
            model.state = ACTIVE if status is Status.SUCCESS else UNINITIALIZED
        else:
            assert status is refused

    @rule(number=st.integers(0, 7))
    def finalize(self, number: int) -> None:
        child, model = self.pick(number)
        status = self.parent.status(CallCode.FINALIZE_PARTITION, child)
        self.note("finalize", status)
        assert status is (self.expected(child, ACTIVE) or Status.SUCCESS)
        if status is Status.SUCCESS:
            model.state, model.vps = FINALIZED, 0
            model.pages.clear()

    @rule(number=st.integers(0, 7))
    def delete(self, number: int) -> None:
        child, _ = self.pick(number)
        status = self.parent.status(CallCode.DELETE_PARTITION, child)
        self.note("delete", status)
        assert status is (self.expected(child, UNINITIALIZED, FINALIZED) or Status.SUCCESS)
        if status is Status.SUCCESS:
            del self.models[child]
            self.gone.append(child)

    @rule(number=st.integers(0, 7), at=TARGETS, first=SOURCES, count=COUNTS, rights=RIGHTS)
    def map(self, number: int, at: int, first: int, count: int, rights: int) -> None:
        child, model = self.pick(number)
        status, done = self.parent.map(child, at, range(first, first + count), rights)
        self.note("map", status)
        refused = self.expected(child, ACTIVE)
        if refused is not None:
            assert (status, done) == (refused, 0)
            return
        if rights not in (0, 1, 3, 5, 7):
            assert (status, done) == (Status.INVALID_PARAMETER, 0)
            return
        taken = self.taken()
        bad = [n for n in range(count) if first + n >= PAGES or first + n in taken]
        usable = bad[0] if bad else count
        if status is Status.INSUFFICIENT_MEMORY:
            assert done == 0
            return
        assert (status, done) == (Status.INVALID_PARAMETER if bad else Status.SUCCESS, usable)
        model.pages |= {at + n: first + n for n in range(usable)}

    @rule(number=st.integers(0, 7), at=TARGETS, count=st.sampled_from((1, 8, 512, 2000)))
    def unmap(self, number: int, at: int, count: int) -> None:
        child, model = self.pick(number)
        status, done = self.parent.call(CallCode.UNMAP_GPA_PAGES, words(child, at), count=count)
        self.note("unmap", status)
        refused = self.expected(child, ACTIVE)
        if refused is not None or status is Status.INSUFFICIENT_MEMORY:
            assert (status, done) == (refused or Status.INSUFFICIENT_MEMORY, 0)
            return
        assert (status, done) == (Status.SUCCESS, count)
        model.pages = {gpn: page for gpn, page in model.pages.items() if not at <= gpn < at + count}

    @rule(number=st.integers(0, 7), more=st.booleans())
    def change_vps(self, number: int, more: bool) -> None:
        self.change_vps_of(*self.pick(number), more=more)

    def change_vps_of(self, child: int, model: Model, *, more: bool) -> None:
        """One VP more, or one less."""
        if more:
            status = self.parent.status(CallCode.CREATE_VP, child, model.vps, 0, 0)
        else:
            status = self.parent.status(CallCode.DELETE_VP, child, max(model.vps - 1, 0))
        self.note("create VP" if more else "delete VP", status)
        refused = self.expected(child, ACTIVE)
        if refused is not None:
            assert status is refused
        elif status is Status.SUCCESS:
            model.vps += 1 if more else -1
        else:
            assert status is (Status.INSUFFICIENT_MEMORY if more else Status.INVALID_VP_INDEX)
            assert more or model.vps == 0

    @rule(number=st.integers(0, 7), code=st.sampled_from(CODES))
    def run(self, number: int, code: str) -> None:
        """A child gets memory and code, as far as its pool pays, and runs to an intercept, or a while."""
        child, model = self.pick(number)
        if self.expected(child, ACTIVE) is not None or not model.vps:
            return
        taken = self.taken()
        ram = [page for page in range(FREE_FROM, PAGES) if page not in taken][:SMALL_RAM]
        status, done = self.parent.map(child, 0, ram)
        model.pages |= dict(enumerate(ram[:done]))
        if status is not Status.SUCCESS:
            return
        contents = {gpa: words(*numbers) for gpa, numbers in system_structures().items()}
        for gpa, data in (contents | {CODE: assemble(code, CODE)}).items():
            self.parent.hypervisor.partitions[child].gpa_space.write(gpa, data)
        install = words(child, 3 | InterceptType.IO_PORT << 32, 0x70)
        assert self.parent.call(CallCode.INSTALL_INTERCEPT, install)[0] is Status.SUCCESS
        vp = self.parent.hypervisor.partitions[child].vps[0]
        enter_at(vp, CODE)
        for name in (RegisterName.INTERCEPT_SUSPEND, RegisterName.EXPLICIT_SUSPEND):
            assert self.parent.registers(child, 0, (name, 0))[0] is Status.SUCCESS
        self.parent.hypervisor.run(2000)
        SEEN[f"child {vp.state.value} by {vp.suspensions.name}"] += 1

    @rule()
    def read_message(self) -> None:
        self.parent.message()

    @invariant()
    def every_page_is_the_parent_s_or_in_one_pool(self) -> None:
        space, pools = self.parent.space, [model.pool for model in self.models.values()]
        taken = self.taken()
        assert sum(map(len, pools)) == len(taken)
        present = space.frames_of(np.arange(PAGES, dtype=np.uint64)) != 0
        assert set(np.flatnonzero(~present).tolist()) == taken
        assert self.frames.owned_by(1) == PAGES - len(taken)
        for child, model in self.models.items():
            pool = self.parent.hypervisor.partitions[child].pool
            assert isinstance(pool, MemoryPool)
            assert set(pool.origins.values()) == model.pool
            assert all(self.frames.owners[spn] == HYPERVISOR for spn in pool.origins)

    @invariant()
    def frames_are_shared_as_often_as_they_are_mapped(self) -> None:
        assert self.frames.shares.sum() == sum(len(model.pages) for model in self.models.values())
        for child, model in self.models.items():
            space = self.parent.hypervisor.partitions[child].gpa_space
            for at, page in list(model.pages.items())[:: max(len(model.pages) // 8, 1)]:
                assert space.spa_of(at * PAGE_BYTES) == self.parent.space.spa_of(page * PAGE_BYTES)


def test_calls_in_any_order_lose_no_frame_and_give_none_twice() -> None:
    SEEN.clear()
    run_state_machine_as_test(Calls, settings=settings(stateful_step_count=40))  # type: ignore[no-untyped-call]
    wanted = {
        *("SUCCESS", "INVALID_PARTITION_STATE", "INVALID_PARTITION_ID", "INVALID_PARAMETER"),
        *("INSUFFICIENT_MEMORY", "OBJECT_IN_USE", "NO_RESOURCES"),
    }
    assert wanted <= set(SEEN), SEEN
    assert any("INTERCEPT" in outcome for outcome in SEEN), SEEN


@pytest.mark.parametrize("ends", ["finalize", "delete", "parent"])
def test_hundred_small_partitions_come_and_go(ends: str) -> None:
    with Parent(16) as parent:
        frames = parent.hypervisor.memory.frames
        before = Counter(frames.owners.tolist())
        shared = parent.pages(4)
        for index in range(100):
            child = parent.active(7)
            assert parent.map(child, 0, shared) == (Status.SUCCESS, 4)
            assert parent.status(CallCode.CREATE_VP, child, 0, 0, 0) is Status.SUCCESS
            if ends == "finalize" and index % 2:
                assert parent.status(CallCode.FINALIZE_PARTITION, child) is Status.SUCCESS
        assert frames.shares.max() == (50 if ends == "finalize" else 100)
        if ends == "parent":
            parent.hypervisor.delete_partition(1)
            assert set(frames.owners.tolist()) == {0, HYPERVISOR}
            return
        for child in [one for one in parent.hypervisor.partitions if one != 1]:
            parent.status(CallCode.FINALIZE_PARTITION, child)
            assert parent.status(CallCode.DELETE_PARTITION, child) is Status.SUCCESS
        assert Counter(frames.owners.tolist()) == before and not frames.shares.any()
