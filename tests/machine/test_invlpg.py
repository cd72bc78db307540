"""INVLPG: of whatever address in a large page, it invalidates all of that page, and it is no exit unasked."""

import pytest
from machines import TABLES, SmallMachine, counts

from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.spec.svm_exits import SvmExit

MIB, GIB = 1 << 20, 1 << 30
PDPT, PD, NEW_PD, NEW_PT = TABLES + 0x1000, TABLES + 0x2000, 0x10_7000, 0x10_8000
OLD_FIRST, OLD_LAST, NEW_FIRST, NEW_LAST = 0x10_A000, 0x10_B000, 0x12_0000, 0x12_1000
WINDOWS = {2 * MIB: PD + 8, GIB: PDPT + 8}
"""GVAs of a large page of 2 MiB and one of 1 GiB, each with its entry."""
Mode = tuple[PagingMode] | tuple[PagingMode, ShadowPolicy]
MODES: list[Mode] = [
    (PagingMode.SLAT,),
    (PagingMode.HARDWARE,),
    *((PagingMode.SHADOW, policy) for policy in ShadowPolicy),
]


def windowed(code: str, window: int, mode: Mode = (PagingMode.SLAT,)) -> SmallMachine:
    """All of memory is a large page at ``window`` too; ``NEW_PD`` and ``NEW_PT`` would map others there."""
    made = SmallMachine(code, paging=mode[0], shadow=ShadowOptions(*mode[1:]))
    made.write(WINDOWS[window], 0x87)
    made.write(NEW_PD, NEW_PT | 7)
    for old, new, value in ((OLD_FIRST, NEW_FIRST, 0x1111), (OLD_LAST, NEW_LAST, 0x2222)):
        made.write(NEW_PT + old // 0x1000 % 512 * 8, new | 7)
        made.write(old, value)
        made.write(new, value << 16)
    return made


def edit(window: int) -> str:
    """Maps smaller pages instead of the large one."""
    table = NEW_PT if window == 2 * MIB else NEW_PD
    return f"mov qword ptr [{WINDOWS[window]}], {table | 7};"


def look(window: int) -> str:
    """Reads from two pages of the window into RAX and RBX."""
    return f"mov rdi, {window}; mov rax, [rdi + {OLD_FIRST}]; mov rbx, [rdi + {OLD_LAST}];"


@pytest.mark.parametrize("offset", [0, 0x17_3123, -1])
@pytest.mark.parametrize("window", WINDOWS, ids=["2 MiB", "1 GiB"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(part.value for part in mode))
def test_invlpg_of_any_address_invalidates_all_of_a_large_page(mode: Mode, window: int, offset: int) -> None:
    place = window + offset % window
    code = f"{look(window)} mov r8, rax; {edit(window)} mov rsi, {place}; invlpg [rsi]; {look(window)} hlt"
    with windowed(code, window, mode) as machine:
        machine.run()
        assert machine.vp.read("r8") == 0x1111
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (0x1111_0000, 0x2222_0000)


def test_invlpg_in_a_large_page_is_remembered_after_another_invlpg() -> None:
    window, small = 2 * MIB, 4 * MIB
    code = f"{look(window)} invlpg [{small}]; {edit(window)} invlpg [{window}]; {look(window)} hlt"
    with windowed(code, window) as machine:
        machine.run()
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (0x1111_0000, 0x2222_0000)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(part.value for part in mode))
def test_invlpg_ends_a_block_and_is_an_exit_only_if_asked_for(mode: Mode) -> None:
    with windowed("nop; invlpg [0x9000]; nop; hlt", 2 * MIB, mode) as machine:
        machine.run()
        asked = mode[0] is PagingMode.SHADOW
        assert machine.vp.counters.blocks == 2
        assert machine.vp.counters.exits[SvmExit.INVLPG] == (1 if asked else 0)


def test_steps_over_invlpg_are_the_run() -> None:
    code = f"{look(2 * MIB)} invlpg [rdi + 0x1000]; {look(2 * MIB)} invlpg [0x9000]; nop; hlt"
    with windowed(code, 2 * MIB) as run, windowed(code, 2 * MIB) as steps:
        run.run()
        for _ in range(10):
            steps.hypervisor.step(steps.vp)
        assert steps.vp.state is run.vp.state
        assert steps.vp.counters.blocks == run.vp.counters.blocks == 3
        assert counts(steps.vp.counters.exits, 256) == {SvmExit.HLT: 1}


def test_invlpg_outside_of_large_pages_keeps_the_other_pages() -> None:
    touch = "mov rax, [rdi]; mov rax, [rdi + 0x1000]; mov rax, [rdi + 0x2000];"
    small_pages = f"mov rdi, {GIB}; {touch} invlpg [rdi]; {touch} hlt"
    with windowed(small_pages, 2 * MIB) as machine:
        machine.write(PDPT + 8, NEW_PD | 7)
        for page in range(3):
            machine.write(NEW_PT + 8 * page, NEW_FIRST + 0x1000 * page | 7)
        machine.run()
        assert machine.vp.counters.tlb_fills == 5


@pytest.mark.parametrize("code", ["invlpg [rdi]", "invlpg [rdi + 0x1000]"])
def test_invlpg_of_an_address_that_is_not_canonical_does_nothing(code: str) -> None:
    with SmallMachine(f"{code}; inc ebx; hlt", registers={"rdi": 1 << 60}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 1


@pytest.mark.parametrize("mode", list(PagingMode))
def test_invlpg_in_ring_3_is_a_general_protection_fault(mode: PagingMode) -> None:
    with SmallMachine("invlpg [0x9000]", ring=3, paging=mode) as machine:
        machine.run()
        assert machine.vector() == 13 and machine.frame(error_code=True).error_code == 0
        assert SvmExit.INVLPG not in counts(machine.vp.counters.exits, 256)
