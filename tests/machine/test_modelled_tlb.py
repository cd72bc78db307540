"""The modelled TLB in front of a guest that runs: what hits, what misses, and that nobody else notices."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from machines import SmallMachine

from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession, Report
from minihv.machine.processor import Core, PagingMode
from minihv.paging.native_tlb import Tlb
from minihv.paging.tlb_parts import TlbShape

MODES = [PagingMode.SLAT, PagingMode.SHADOW]
SMALL = TlbShape(sets=1, ways=4)
PAGES = "mov ecx, 50; again: {} dec ecx; jnz again; hlt"


def touching(count: int) -> str:
    """Reads a word of each of so many pages, over and over."""
    return PAGES.format("".join(f"mov rax, [{0x12_0000 + 0x1000 * page}];" for page in range(count)))


@contextmanager
def modelled(code: str, paging: PagingMode, shape: TlbShape = SMALL) -> Iterator[tuple[SmallMachine, Tlb]]:
    """A machine whose guest has only pages of 4 KiB, and its TLB."""
    with SmallMachine(code, paging=paging) as machine:
        machine.write(0x5000, 0x14_0000 | 7)  # in place of the page of 2 MiB
        for page in range(512):
            machine.write(0x14_0000 + 8 * page, page << 12 | 7)
        yield machine, machine.hypervisor.processor.model_tlb(shape)


@pytest.mark.parametrize("paging", MODES)
def test_pages_that_fit_miss_once_each(paging: PagingMode) -> None:
    with modelled(touching(3), paging) as (machine, tlb):
        machine.run()
        refused = machine.vp.counters.shadow_fills
        assert tlb.counters.misses - refused <= 4  # the code and three pages
        assert tlb.counters.hits >= 49 * 3


@pytest.mark.parametrize("paging", MODES)
def test_one_page_more_than_it_holds_misses_always(paging: PagingMode) -> None:
    with modelled(touching(5), paging) as (machine, tlb):
        machine.run()
        assert tlb.counters.misses >= 50 * 5 and tlb.counters.evictions >= 49 * 5


def test_fills_and_references_are_those_of_the_misses() -> None:
    with modelled(touching(5), PagingMode.SLAT) as (machine, tlb):
        machine.run()
        counters = machine.vp.counters
        assert (counters.tlb_fills, counters.walk_references) == (
            tlb.counters.misses,
            tlb.counters.references,
        )


def test_caches_of_the_walker_save_references() -> None:
    read = []
    for shape in (SMALL, TlbShape(1, 4, pdes=4), TlbShape(1, 4, pdes=4, nested=16)):
        with modelled(touching(5), PagingMode.SLAT, shape) as (machine, tlb):
            machine.run()
            read.append(tlb.counters.references)
    assert read[0] > read[1] > read[2]


@pytest.mark.parametrize(
    ("flush", "misses"), [("invlpg [0x120000]", 50), ("mov rax, cr3; mov cr3, rax", 100)]
)
def test_guest_that_invalidates_misses_again(flush: str, misses: int) -> None:
    code = PAGES.format(f"mov rax, [0x120000]; mov rbx, [0x121000]; {flush};")
    with modelled(code, PagingMode.SLAT, TlbShape(4, 4)) as (machine, tlb):
        machine.run()
        assert misses <= tlb.counters.misses <= misses + 55  # a write to CR3 forgets the code, too


def report(name: str, paging: PagingMode, shape: TlbShape | None) -> Report:
    with GuestSession(name, paging=paging, tlb=shape) as session:
        return session.run(20_000_000)


@pytest.mark.parametrize("paging", MODES)
@pytest.mark.parametrize(
    "name", ["03_exceptions", "04_rings", "05_page_tables", "06_self_modifying", "11_exit_state"]
)
def test_guest_notices_nothing(name: str, paging: PagingMode) -> None:
    plain, behind = report(name, paging, None), report(name, paging, TlbShape(16, 2, pdes=8, nested=8))
    assert (plain.console, plain.stopped) == (behind.console, behind.stopped)
    assert (plain.counters.blocks, plain.counters.exits) == (behind.counters.blocks, behind.counters.exits)
    assert behind.tlb is not None and behind.tlb.misses == behind.counters.tlb_fills


def test_misses_are_the_same_in_every_run() -> None:
    first, second = (report("05_page_tables", PagingMode.SLAT, TlbShape(16, 2)) for _ in range(2))
    assert first.tlb == second.tlb is not None


@pytest.mark.parametrize(
    ("paging", "core", "who"),
    [
        (PagingMode.HARDWARE, Core.NATIVE, "the MMU of the engine"),
        (PagingMode.SLAT, Core.REFERENCE, "the Python walk"),
    ],
)
def test_tlb_in_front_of_another_walk_is_refused(paging: PagingMode, core: Core, who: str) -> None:
    with (
        SmallMachine("hlt", paging=paging, core=core) as machine,
        pytest.raises(ConfigurationError) as refused,
    ):
        machine.hypervisor.processor.model_tlb(SMALL)
    assert str(refused.value) == (
        f"A modelled TLB stands in front of the core's own walk, and here misses are served by {who}: "
        "unset MINIHV_CORE, and choose paging mode slat or shadow."
    )
