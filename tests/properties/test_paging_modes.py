"""Shadow tables, the two-stage walk and the engine's own MMU give one guest the same memory.

Each step is executed by real instructions on all machines: accesses in both rings, edits of tables of every
level, also by way of the tables themselves, INVLPG, writes to CR0, CR3 and CR4, and pages that ring -1
remaps. The engine does not say whether a GPA without memory was a table's; else all three must agree.
"""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from paging_machines import (
    FETCHED_AT,
    KERNEL,
    PAGE_FRAMES,
    PGE,
    ROOTS,
    SLOTS,
    SMAP,
    SMEP,
    TABLE_FRAMES,
    TOUCHED_AT,
    WP,
    Outcome,
    PagingMachine,
)

from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.paging.tlb_parts import TlbShape
from minihv.testing import Shares

FLOORS = {
    "read: vector 3": 0.002,
    "write: vector 3": 0.002,
    "execute: vector 3": 0.002,
    "edit a page: vector 3": 0.0005,
    "edit: vector 3": 0.01,
    "vector 14": 0.005,
}
"""Vector 3 is the end of code that met no fault, 14 a page fault, and 13 a write to a page of ring -1's."""

slots = st.tuples(
    st.sampled_from((1, 2)), st.sampled_from((0, 1)), st.sampled_from((0, 1)), st.sampled_from(SLOTS)
)
gvas = slots.map(lambda way: sum(index << shift for index, shift in zip(way, (39, 30, 21, 12), strict=True)))
targets = st.sampled_from((*TABLE_FRAMES, *TABLE_FRAMES, *PAGE_FRAMES, 0, 1 << 21))
flags = st.sampled_from(
    (*(7,) * 9, *(0x67,) * 4, 0, 5, 3, 1, 0x25, 0x27, 0x87, 0xE7, 0x167, 0x1E7, 7 | 1 << 63)
)
values = st.tuples(targets, flags).map(lambda pair: pair[0] | pair[1] if pair[1] & 1 else 0)
lower_slots = st.tuples(st.sampled_from(TABLE_FRAMES), st.sampled_from((0, 1, *SLOTS)))
table_slots = st.one_of(st.tuples(st.sampled_from(ROOTS), st.sampled_from((1, 2))), *(lower_slots,) * 9)
seldom = st.sampled_from((False, False, False, True))
rings = st.sampled_from((0, 3))


class Modes(RuleBasedStateMachine):
    """The same guest on machines that differ in how they page."""

    policy = ShadowPolicy.TRAP
    frame_count = 99
    keep_large = True
    tlb: TlbShape | None = None
    shares = Shares()

    def __init__(self) -> None:
        super().__init__()
        options = ShadowOptions(self.policy, self.frame_count, keep_large=self.keep_large)
        self.shadow = PagingMachine("hlt", paging=PagingMode.SHADOW, shadow=options, core=Core.NATIVE)
        self.nested = PagingMachine("hlt", paging=PagingMode.SLAT, core=Core.NATIVE)
        self.engine = PagingMachine("hlt", paging=PagingMode.HARDWARE, core=Core.NATIVE)
        self.machines = self.shadow, self.nested, self.engine
        for machine in self.machines[:2]:
            if self.tlb is not None:
                machine.hypervisor.processor.model_tlb(self.tlb)

    def teardown(self) -> None:
        for machine in self.machines:
            machine.hypervisor.close()

    def everywhere(self, name: str, *, ring: int = 0, ac: bool = False, **registers: int) -> Outcome:
        """Executes the same on every machine, and expects the same of each."""
        found = [machine.execute(name, ring=ring, ac=ac, **registers) for machine in self.machines]
        assert found[0] == found[1]
        assert replace(found[1], why="") == replace(found[2], why="") and bool(found[1].why) == bool(
            found[2].why
        )
        what = f"{name}: " + ("no memory" if found[0].why else f"vector {found[0].vector}")
        self.shares.add(what)
        return found[0]

    @rule(gva=gvas, ring=rings, ac=st.booleans())
    def read(self, gva: int, ring: int, ac: bool) -> None:
        self.everywhere("read", ring=ring, ac=ac, rdi=gva + TOUCHED_AT)

    @rule(gva=gvas, ring=rings, ac=st.booleans(), value=st.integers(0, 255))
    def write(self, gva: int, ring: int, ac: bool, value: int) -> None:
        self.everywhere("write", ring=ring, ac=ac, rdi=gva + TOUCHED_AT, rsi=value)

    @rule(gva=gvas, ring=rings)
    def fetch(self, gva: int, ring: int) -> None:
        self.everywhere("execute", ring=ring, rdi=gva + FETCHED_AT)

    @rule(slot=table_slots, value=values)
    def edit(self, slot: tuple[int, int], value: int) -> None:
        self.everywhere("edit", rdi=KERNEL + slot[0] + 8 * slot[1], rsi=value)

    @rule(slot=table_slots, value=values, gva=gvas)
    def edit_a_page(self, slot: tuple[int, int], value: int, gva: int) -> None:
        self.everywhere("edit a page", rdi=KERNEL + slot[0] + 8 * slot[1], rsi=value, rdx=gva + TOUCHED_AT)

    @rule(gva=gvas, index=st.sampled_from((0, 1, *SLOTS)), value=values, ac=st.booleans())
    def edit_through_a_mapping(self, gva: int, index: int, value: int, ac: bool) -> None:
        self.everywhere("edit", ac=ac, rdi=gva + 8 * index, rsi=value)

    @rule(root=st.sampled_from(ROOTS))
    def switch(self, root: int) -> None:
        self.everywhere("root", rdi=root)

    @rule(wp=st.booleans(), smep=seldom, smap=seldom, pge=st.booleans())
    def control(self, wp: bool, smep: bool, smap: bool, pge: bool) -> None:
        cr4 = 0x620 | smep * SMEP | smap * SMAP | pge * PGE
        self.everywhere("controls", rdi=0x8000_0033 | wp * WP, rsi=cr4)

    @rule(gpa=st.sampled_from((PAGE_FRAMES[0], PAGE_FRAMES[3])))
    def remap(self, gpa: int) -> None:
        for machine in self.machines:
            machine.lay_over(gpa)

    @invariant()
    def memory_is_the_same(self) -> None:
        assert self.shadow.ram() == self.nested.ram()


SHAPES = [
    {"frame_count": 99, "keep_large": True, "tlb": None},
    {"frame_count": 16, "keep_large": False, "tlb": None},
    {"frame_count": 99, "keep_large": True, "tlb": TlbShape(4, 2, pdes=4, pdptes=2, pml4es=2, nested=4)},
]


@pytest.mark.parametrize("shape", SHAPES, ids=["whole", "split in few frames", "behind a TLB"])
@pytest.mark.parametrize("policy", list(ShadowPolicy))
def test_every_way_of_paging_gives_the_guest_the_same(policy: ShadowPolicy, shape: dict[str, object]) -> None:
    parts = shape | {"policy": policy, "shares": Shares()}
    modes: type[Modes] = type("TheseModes", (Modes,), parts)
    asked = settings(stateful_step_count=40, max_examples=max(20, settings().max_examples // 4))
    run_state_machine_as_test(modes, settings=asked)  # type: ignore[no-untyped-call]
    modes.shares.assert_floors(FLOORS)
