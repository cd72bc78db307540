"""A log misses nothing that a comparison of memory finds, and tells little more: pages that were aimed at."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from storing_guest import POOL, StoringGuest

from minihv.hypervisor.page_log import LogReader
from minihv.hypervisor.states import VpState
from minihv.machine.frames import HYPERVISOR
from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.dirty import PageBitmap
from minihv.paging.shadow import ShadowPolicy
from minihv.terms import PAGE_BYTES, Gpa, Spa
from minihv.testing import Shares

MODES = (PagingMode.SLAT, PagingMode.SHADOW)
MOST_READERS = 3
TAKEN = {
    "all that changed and no more": 0.05,
    "pages that did not change": 0.3,
    "nothing": 0.1,
    "beside other readers": 0.4,
}
MET = {
    "page faults": 0.3,
    "no page fault": 0.1,
    "refused by an overlay": 0.05,
    "rewrote its code": 0.15,
    "in ring 3": 0.2,
}


class Observer:
    """A reader, and what it needs to know better: memory when it asked last, and what the host did since."""

    def __init__(self, reader: LogReader, ram: NDArray[np.uint8], *, of_accesses: bool) -> None:
        self.reader, self.ram, self.of_accesses = reader, ram, of_accesses
        self.written_by_host: set[int] = set()


class Observed:
    """A guest that stores, with readers that come, take and go, and a host that writes."""

    def __init__(self, guest: StoringGuest, random: Random, shares: Shares) -> None:
        self.guest, self.random, self.taken = guest, random, shares
        self.space = guest.machine.partition.gpa_space
        self.observers: list[Observer] = []
        self.overlay = guest.machine.hypervisor.memory.frames.allocate(HYPERVISOR)
        self.over: Gpa | None = None

    def act(self) -> None:
        """Something happens."""
        weights = {self.run: 6, self.host_writes: 3, self.take: 5, self.open: 2, self.close: 1, self.lay: 2}
        self.random.choices(list(weights), list(weights.values()))[0]()

    def run(self) -> None:
        """The guest goes on, by blocks or by steps."""
        if self.random.random() < 0.2:
            for _ in range(self.random.randrange(1, 40)):
                self.guest.machine.hypervisor.step(self.guest.machine.vp)
        else:
            self.guest.machine.run(self.random.choice((1, 3, 20, 100, 500)))
        assert self.guest.machine.vp.state is VpState.READY, self.guest.machine.vp.why

    def host_writes(self) -> None:
        """As a device does it."""
        gpa = self.random.choice(POOL) * PAGE_BYTES + self.random.randrange(PAGE_BYTES)
        size = self.random.choice((1, 8, 600, 2 * PAGE_BYTES))
        self.space.write(gpa, self.random.randbytes(size))
        for observer in self.observers:
            observer.written_by_host |= set(range(gpa >> 12, (gpa + size - 1 >> 12) + 1))

    def lay(self) -> None:
        """An overlay comes where the guest stores, or goes."""
        if self.over is not None and self.random.random() < 0.4:
            self.space.lift(self.over)
            self.over = None
        elif self.over is None:
            self.over = Gpa(self.random.choice(POOL) * PAGE_BYTES)
            self.space.lay_over(self.over, Spa(self.overlay), "a test's page")

    def open(self) -> None:
        """One more reader, of either log."""
        if len(self.observers) < MOST_READERS:
            of_accesses = self.random.random() < 0.25
            log = self.space.access_log if of_accesses else self.space.dirty_log
            self.observers.append(Observer(log.reader(), self.ram(), of_accesses=of_accesses))

    def close(self) -> None:
        """One reader less."""
        if self.observers:
            self.observers.pop(self.random.randrange(len(self.observers))).reader.close()

    def take(self) -> None:
        """One of the readers asks; it is told every page that differs, and none that nobody aimed at."""
        if not self.observers:
            return
        observer = self.random.choice(self.observers)
        told, ram = observer.reader.take(), self.ram()
        changed = set(np.flatnonzero((ram != observer.ram).any(axis=1)).tolist())
        if observer.of_accesses:
            assert changed - observer.written_by_host <= set(told.gpns())
        else:
            self.compare(set(told.gpns()), changed, observer.written_by_host)
        observer.ram, observer.written_by_host = ram, set()

    def compare(self, told: set[int], changed: set[int], by_host: set[int]) -> None:
        """What the dirty log told, and what has changed."""
        assert changed <= told, f"missed {sorted(changed - told)}"
        unasked = told - self.guest.aims() - by_host
        assert not unasked, f"told {sorted(unasked)}, where nobody wrote"
        verdict = "all that changed and no more" if told == changed else "pages that did not change"
        beside = ", beside other readers" if len(self.observers) > 1 else ""
        self.taken.add(f"told: {verdict if told else 'nothing'}{beside}")

    def ram(self) -> NDArray[np.uint8]:
        """A copy of the guest's memory, page by page."""
        spa, size = self.space.spa_of(0), self.space.ram_bytes
        assert spa is not None
        view = self.guest.machine.hypervisor.memory.view[spa : spa + size]
        return view.reshape(-1, PAGE_BYTES).copy()

    def met(self) -> str:
        """What the guest met."""
        exceptions = self.guest.machine.vp.counters.exceptions
        words = [
            "page faults" if exceptions[14] else "no page fault",
            "refused by an overlay" if exceptions[13] else "",
            "rewrote its code" if any(record.is_code for record in self.guest.records) else "",
            f"in ring {self.guest.machine.ring}",
        ]
        return "the guest met: " + ", ".join(filter(None, words))


@pytest.mark.parametrize("paging", MODES, ids=lambda paging: paging.value)
@pytest.mark.parametrize("core", list(Core))
def test_dirty_log_is_the_comparison_of_memory_before_and_after(core: Core, paging: PagingMode) -> None:
    taken, met = Shares(), Shares()

    @settings(max_examples=80 if core is Core.NATIVE else 15)
    @given(st.integers(0, 1 << 32))
    def misses_nothing(seed: int) -> None:
        random = Random(seed)
        shadow = ShadowOptions(random.choice(list(ShadowPolicy)))
        with StoringGuest(random, core=core, paging=paging, shadow=shadow) as guest:
            observed = Observed(guest, random, taken)
            observed.open()
            for _ in range(40):
                observed.act()
            met.add(observed.met())

    misses_nothing()
    taken.assert_floors(TAKEN)
    if core is Core.NATIVE:  # of so few examples as the slow walk allows, one may be missing
        met.assert_floors(MET)


def told_by(seed: int, paging: PagingMode) -> list[PageBitmap]:
    """What the logs of a guest tell now and then."""
    with StoringGuest(Random(seed), paging=paging) as guest:
        space, told = guest.machine.partition.gpa_space, []
        with space.dirty_log.reader() as dirty, space.access_log.reader() as accessed:
            for blocks in (100, 1, 300, 7, 500):
                guest.machine.run(blocks)
                told += [dirty.take(), accessed.take()]
        return told


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.sampled_from(MODES))
def test_logs_of_two_runs_tell_the_same(seed: int, paging: PagingMode) -> None:
    assert told_by(seed, paging) == told_by(seed, paging)
