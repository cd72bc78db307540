"""A TLB changes no answer, as long as whoever edits tables flushes what the manuals ask for.

And if nobody does, an answer is the old one or the new one.
"""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from builders import ACCESSED, DIRTY
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tlb_world import GLOBAL, ReadOnly, TlbWorld, agrees, plain

from minihv.paging import native_tlb
from minihv.paging.access import Access, BufferMemory, Reference, StageName
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.tlb import Tlb
from minihv.paging.tlb_parts import AddressSpace, TlbShape
from minihv.paging.walk import Mapping, PageFault
from minihv.testing import Shares, copy_of

SEEDS = st.integers(0, (1 << 32) - 1)
SHAPES = st.sampled_from(
    [
        TlbShape(16, 4, pdes=16, pdptes=16, pml4es=16, pml5es=16, nested=64),
        TlbShape(16, 4),
        TlbShape(16, 4, pdes=16),
        TlbShape(1, 1, pdptes=16, pml4es=16, nested=64),
        TlbShape(2, 2, pdes=2, pdptes=1, nested=8),
    ]
)
FLUSHES = ["flush_page", "flush_page_everywhere", "flush_address_space", "flush_partition", "flush_all"]
FLOORS = {
    "hit": 0.05,
    "mapped": 0.05,
    "tables remembered": 0.002,
    "page fault": 0.05,
    "page fault, asked twice": 0.01,
    "edit, then flush": 0.01,
    "edit, then flush_page:": 0.0005,
    "edit, then flush_address_space:": 0.0005,
    "edit, then nothing": 0.001,
    "edit, then nothing: upgrade": 0.0005,
}
OF_TWO_STAGES = {"nested remembered": 0.005, "violation": 0.01}


def in_words(found: object, before: Any, now: Any) -> str:
    """What an access met."""
    counted = now.since(before)
    remembered = ["tables remembered"] * bool(counted.structure_hits)
    remembered += ["nested remembered"] * bool(counted.nested_hits)
    match found:
        case PageFault() | Violation():
            kind = "page fault" if isinstance(found, PageFault) else "violation"
            return kind + ", asked twice" * bool(remembered)
        case Mapping() | NestedMapping() if counted.hits:
            return "hit"
    return ", ".join(["mapped", *remembered])


class TlbIsNoTlb(RuleBasedStateMachine):
    """Accesses through both twins of the TLB and through none, edits, and flushes."""

    two_stages: bool
    shares: Shares

    @initialize(seed=SEEDS, levels=st.sampled_from([4, 4, 5]), shape=SHAPES)
    def begin(self, seed: int, levels: int, shape: TlbShape) -> None:
        self.world = TlbWorld(seed, levels, two_stages=self.two_stages)
        ours, theirs = copy_of(self.world.memory), copy_of(self.world.memory)
        self.memories = [ours, theirs]
        self.tlbs: list[Tlb | native_tlb.Tlb] = [Tlb(ours, shape), native_tlb.Tlb(theirs, shape)]
        self.exact = True
        self.random = Random(seed)

    @rule(count=st.integers(1, 40))
    def access(self, count: int) -> None:
        for space, gva, access in self.world.accesses(self.random, count):
            seen = list[Reference]()
            expected = plain(self.world.memory, space, gva, access, seen)
            for tlb, memory in zip(self.tlbs, self.memories, strict=True):
                before = replace(tlb.counters)
                found = tlb.translate(space, gva, access)
                assert agrees(found, expected, exact=self.exact), (found, expected)
                if tlb.counters.hits > before.hits and found.leaf_entry & GLOBAL:  # type: ignore[union-attr]
                    settle(memory, self.world.memory, seen)
                assert np.array_equal(memory.view, self.world.memory.view)
            self.shares.add(in_words(found, before, tlb.counters))

    @rule(count=st.integers(1, 3))
    def edit(self, count: int) -> None:
        for _ in range(count):
            edit = self.world.edit(self.random)
            flushes = self.random.choice(edit.demanded)
            for memory in (self.world.memory, *self.memories):
                memory.write_u64(edit.entry_pa, edit.value)
            for verb, space, gva in flushes:
                self.flush(verb, space, gva)
            self.exact = self.exact and not edit.is_upgrade
            self.shares.add(f"edit, then {flushes[-1][0] if flushes else 'nothing'}: {edit.kind}")

    @rule(verb=st.sampled_from(FLUSHES))
    def flush_without_need(self, verb: str) -> None:
        ((space, gva, _),) = self.world.accesses(self.random, 1)
        self.flush(verb, space, gva)
        self.exact = self.exact or verb == "flush_all"

    def flush(self, verb: str, space: AddressSpace, gva: int) -> None:
        arguments = {"flush_page": (space, gva), "flush_page_everywhere": (space, gva), "flush_all": ()}
        for tlb in self.tlbs:
            getattr(tlb, verb)(*arguments.get(verb, (space,)))


def settle(ours: BufferMemory, walked: BufferMemory, seen: list[Reference]) -> None:
    """A global page may have been loaded by way of another address space. Then the tables of this one, down
    to the entry of the page, have not been passed, and no A (nor D, in the second stage) was set on the way.
    """
    own = [one for one in seen if one.stage is StageName.GUEST]
    for one in seen[: seen.index(own[-1])]:
        value, marked = ours.read_u64(one.entry_pa), walked.read_u64(one.entry_pa)
        assert value | ACCESSED | DIRTY == marked | ACCESSED | DIRTY
        ours.write_u64(one.entry_pa, marked)


@pytest.mark.parametrize("two_stages", [False, True], ids=["one stage", "two stages"])
def test_tlb_answers_as_the_walk_without_one(two_stages: bool) -> None:
    shares = Shares()
    machine = type("Machine", (TlbIsNoTlb,), {"two_stages": two_stages, "shares": shares})
    long = settings().max_examples > 100
    run_state_machine_as_test(
        machine, settings=settings(max_examples=1000 if long else 60, stateful_step_count=40)
    )
    shares.assert_floors(FLOORS | (OF_TWO_STAGES if two_stages else {}))


@pytest.mark.parametrize("two_stages", [False, True], ids=["one stage", "two stages"])
def test_without_the_flush_an_answer_is_the_old_one_or_the_new_one(two_stages: bool) -> None:
    shares = Shares()

    @given(SEEDS, st.sampled_from([4, 5]), SHAPES)
    def never_a_mix(seed: int, levels: int, shape: TlbShape) -> None:
        world, random = TlbWorld(seed, levels, two_stages=two_stages), Random(seed)
        tlb = Tlb(world.memory, shape)
        for _ in range(4):
            tlb.flush_all()
            accesses = [access for _ in range(10) for access in world.accesses(random, 3)]
            for access in accesses:
                tlb.translate(*access)
            old, edit = ReadOnly(copy_of(world.memory)), world.edit(random)
            world.memory.write_u64(edit.entry_pa, edit.value)
            new = ReadOnly(copy_of(world.memory))
            for access in accesses:
                shares.add(old_or_new(tlb, old, new, edit.entry_pa, access))

    never_a_mix()
    assert not shares.missed({"the same": 0.2, "the old one": 0.001, "the new one": 0.002}), shares


def old_or_new(
    tlb: Tlb, old: ReadOnly, new: ReadOnly, edited: int, access: tuple[AddressSpace, int, Access]
) -> str:
    """Which answer the TLB gives. A walk that passes the edited entry twice may meet both of its values."""
    before, after = list[Reference](), list[Reference]()
    answers = plain(old, *access, before), plain(new, *access, after)
    found = tlb.translate(*access)
    if max([one.entry_pa for one in seen].count(edited) for seen in (before, after)) > 1:
        return "passed twice"
    was, now = (agrees(found, answer, marks=False) for answer in answers)
    assert was or now, (found, answers)
    return "the same" if was and now else "the old one" if was else "the new one"
