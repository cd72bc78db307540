"""The C TLB answers as the Python one, counts and keeps the same, and leaves the same bytes in memory."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import READ
from hypothesis import given
from hypothesis import strategies as st

from minihv.errors import ConfigurationError, LayoutError
from minihv.paging import native, native_tlb
from minihv.paging.access import Access, BufferMemory, Paging
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.tlb import Tlb
from minihv.paging.tlb_parts import MOST_CACHED, MOST_ENTRIES, AddressSpace, TlbShape
from minihv.paging.walk import Mapping, NotCanonical, PageFault
from minihv.testing import CrowdedWorld, Shares, copy_of, crowded_worlds, memory_of

GLOBAL = 1 << 8
CACHES = ["pdes", "pdptes", "pml4es", "pml5es", "nested"]
FLUSHES = ["flush_page", "flush_page_everywhere", "flush_address_space", "flush_partition", "flush_all"]
FLOORS = {
    "hit": 0.05,
    "mapped": 0.1,
    "another gave way": 0.05,
    "tables remembered": 0.02,
    "page fault": 0.05,
    "refused twice: page fault": 0.01,
    "not canonical": 0.005,
    **{f"flush: {verb}": 0.003 for verb in FLUSHES},
}
OF_TWO_STAGES = {"nested remembered": 0.02, "violation": 0.03, "refused twice: violation": 0.0005}


def shapes() -> st.SearchStrategy[TlbShape]:
    """Small ones, so that entries have to give way."""
    cached = st.sampled_from([0, 1, 2, 4])
    sizes = dict.fromkeys(CACHES, cached)
    return st.builds(TlbShape, sets=st.sampled_from([1, 2, 4]), ways=st.integers(1, 3), **sizes)


class Script:
    """Spaces of a random world in which something is mapped, and an endless source of what to do in them."""

    def __init__(self, world: CrowdedWorld, two_stages: bool) -> None:
        self.world, self.random = world, world.random
        words = world.memory.view.view(np.uint64)
        words |= np.random.default_rng(self.random.getrandbits(32)).integers(0, 2, len(words), np.uint64) << 8
        second = [world.second() if two_stages else None for _ in range(2)]
        self.mapped = list(self._mapped(copy_of(world.memory), second))[:5]
        self.mapped += [(AddressSpace(world.guest(), second[0]), world.gva())]

    def _mapped(
        self, memory: BufferMemory, seconds: list[Paging | None]
    ) -> Iterator[tuple[AddressSpace, int]]:
        tlb = native_tlb.Tlb(memory, TlbShape(1, 1))
        for number in range(400):
            partition = self.random.randrange(2)
            second = seconds[partition]
            space = AddressSpace(self.world.guest(nested=second is not None), second, number % 3, partition)
            gva = self.world.gva()
            if isinstance(tlb.translate(space, gva, READ), Mapping | NestedMapping):
                yield space, gva

    def access(self) -> tuple[AddressSpace, int, Access]:
        """Mostly one that has a chance, with the registers as they happen to be."""
        often, choose = self.random.random, self.random.choice
        space, gva = choose(self.mapped)
        guest = replace(space.guest, wp=often() < 0.5, smep=often() < 0.3, smap=often() < 0.2)
        near = choose((0,) * 12 + (1 << 12, 1 << 21, 1 << 30, 0x3000))
        gva = choose(self.mapped)[1] if often() < 0.1 else gva & -0x1000 ^ near | self.random.getrandbits(12)
        access = READ if often() < 0.4 else self.world.access()
        if often() < 0.02:
            gva = self.world.gva()
        return replace(space, guest=guest, global_pages=often() < 0.8), gva, access


def in_words(tlb: Tlb, before: Any, found: object) -> str:
    """What became of an access."""
    counted = tlb.counters.since(before)
    match found:
        case NotCanonical():
            return "not canonical"
        case PageFault() | Violation():
            twice = counted.structure_hits or counted.nested_hits
            kind = "page fault" if isinstance(found, PageFault) else "violation"
            return f"refused twice: {kind}" if twice else kind
    if counted.hits:
        return "hit"
    words = {"another gave way": counted.evictions, "tables remembered": counted.structure_hits}
    words["nested remembered"] = counted.nested_hits
    return ", ".join(["mapped", *(word for word, counted in words.items() if counted)])


@pytest.mark.parametrize("two_stages", [False, True], ids=["one stage", "two stages"])
def test_native_tlb_answers_and_remembers_as_the_reference(two_stages: bool) -> None:
    shares = Shares()

    @given(crowded_worlds(), shapes())
    def tlbs_agree(world: CrowdedWorld, shape: TlbShape) -> None:
        script, twin = Script(world, two_stages), copy_of(world.memory)
        ours, theirs = Tlb(world.memory, shape), native_tlb.Tlb(twin, shape)
        for _ in range(120):
            shares.add(one_step(script, ours, theirs, twin))
            assert theirs.counters == ours.counters
            assert theirs.entries() == ours.entries()
        assert np.array_equal(twin.view, world.memory.view)

    tlbs_agree()
    shares.assert_floors(FLOORS | (OF_TWO_STAGES if two_stages else {}))


def one_step(script: Script, ours: Tlb, theirs: native_tlb.Tlb, twin: BufferMemory) -> str:
    """An access, a flush, or a change of the tables that nobody tells the TLB of; the same for both."""
    choice, (space, gva, access) = script.random.random(), script.access()
    if choice < 0.08:
        verb = script.random.choice(FLUSHES)
        arguments = {"flush_page": (space, gva), "flush_page_everywhere": (space, gva), "flush_all": ()}
        for tlb in (ours, theirs):
            getattr(tlb, verb)(*arguments.get(verb, (space,)))
        return f"flush: {verb}"
    before = replace(ours.counters)
    found = ours.translate(space, gva, access)
    assert theirs.translate(space, gva, access) == found
    if choice > 0.94 and isinstance(found, Mapping | NestedMapping):
        script.world.spoil(found.leaf_pa, script.world.memory, twin)
    return in_words(ours, before, found)


def test_native_tlb_translates_many_in_one_call() -> None:
    @given(crowded_worlds(), shapes())
    def counts_agree(world: CrowdedWorld, shape: TlbShape) -> None:
        script, twin = Script(world, two_stages=True), copy_of(world.memory)
        ours, theirs = Tlb(world.memory, shape), native_tlb.Tlb(twin, shape)
        space, _ = script.mapped[0]
        for all_alike in (True, False):
            _, gvas, each = zip(*(script.access() for _ in range(20)), strict=True)
            accesses = each[0] if all_alike else each
            assert theirs.translate_each(space, gvas, accesses) == ours.translate_each(space, gvas, accesses)
        assert theirs.counters == ours.counters

    counts_agree()


def test_native_tlb_refuses_unequal_numbers_as_the_reference() -> None:
    space, memory = AddressSpace(Paging(0x1000)), memory_of(0x2000)
    for tlb in (Tlb(memory, TlbShape()), native_tlb.Tlb(memory, TlbShape())):
        with pytest.raises(LayoutError) as refused:
            tlb.translate_each(space, [1, 2, 3], [READ, READ])
        assert str(refused.value) == (
            "Each address is accessed in its own way or all in one, and 3 addresses came with 2 accesses: "
            "give as many, or one that is no sequence."
        )


def test_tlb_without_memory_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMemory:
        mhv_tlb_create = staticmethod(lambda shape: native.ffi.NULL)

    monkeypatch.setattr(native_tlb, "lib", NoMemory)
    with pytest.raises(ConfigurationError) as refused:
        native_tlb.Tlb(memory_of(8), TlbShape(sets=2, ways=3))
    assert str(refused.value) == (
        "A TLB takes as much memory as it has entries, and there is none for 2 sets of 3 ways: choose fewer."
    )


@pytest.mark.parametrize(
    ("members", "made"),
    [
        ({}, True),
        ({"sets": 0}, False),
        ({"sets": 3}, False),
        ({"ways": 0}, False),
        ({"sets": MOST_ENTRIES, "ways": 1}, True),
        ({"sets": MOST_ENTRIES, "ways": 2}, False),
        *(({name: MOST_CACHED}, True) for name in CACHES),
        *(({name: MOST_CACHED + 1}, False) for name in CACHES),
    ],
    ids=str,
)
def test_core_makes_no_tlb_of_a_shape_that_the_reference_refuses(members: dict[str, int], made: bool) -> None:
    wanted = {"sets": 4, "ways": 2} | members
    tlb = native.lib.mhv_tlb_create(native.ffi.new("struct mhv_tlb_shape *", wanted))
    native.lib.mhv_tlb_destroy(tlb)
    assert (tlb != native.ffi.NULL) == made
    with nullcontext() if made else pytest.raises(ConfigurationError):
        TlbShape(**wanted)
