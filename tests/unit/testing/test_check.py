"""A sound walker passes with its shares, a wrong one gets a report, and a check of nothing is refused."""

from typing import Any

import pytest
from student_walkers import FAULTS, StudentWalk

from minihv.errors import ConfigurationError
from minihv.paging import native
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.walk import walk
from minihv.testing.candidate import NAMES
from minihv.testing.check import FLOORS, VacuousCheck, WalkerDisagrees, check_walker


class Door:
    """A candidate's door as memory."""

    def __init__(self, read_u64: Any, write_u64: Any) -> None:
        self.read_u64, self.write_u64 = read_u64, write_u64


def kind(write: bool, execute: bool) -> AccessKind:
    return AccessKind.WRITE if write else AccessKind.EXECUTE if execute else AccessKind.READ


def complete(read_u64: Any, root: int, gva: int, **said: Any) -> Any:
    """The reference behind the candidate's door."""
    access = Access(kind(said["write"], said["execute"]), said["user"], said["ac"], said["implicit"])
    paging = Paging(root, *(said[name] for name in ("levels", "physical_bits", "nxe", "wp", "smep", "smap")))
    return walk(Door(read_u64, said["write_u64"]), paging, gva, access)


def test_sound_walker_passes_and_is_told_what_it_met() -> None:
    passed = check_walker(StudentWalk())
    assert str(passed).startswith(
        f"The walk agrees with the reference: {passed.shares.counts.total()} walks over 300"
    )
    assert passed.shares.share("mapped") > 0.2


def test_walker_that_asks_for_everything_passes() -> None:
    assert check_walker(complete).shares.share("SMAP") > 0


def test_walker_that_asks_for_nothing_is_a_supervisor_s_read() -> None:
    sound = StudentWalk()
    passed = check_walker(
        lambda read, root, gva: sound(read, root, gva, write=False, user=False, execute=False)
    )
    assert not any(passed.shares.share(cause) for cause in ("R/W", "U/S", "NX", "SM"))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found_and_named(fault: str) -> None:
    with pytest.raises(WalkerDisagrees) as wrong:
        check_walker(StudentWalk(fault))
    assert any(words.startswith(FAULTS[fault]) for words in wrong.value.disagreement.forgot), str(wrong.value)


def test_report_is_the_message() -> None:
    with pytest.raises(WalkerDisagrees) as wrong:
        check_walker(StudentWalk("offset"))
    assert str(wrong.value) == str(wrong.value.disagreement)
    assert len(wrong.value.disagreement.world.ways) == 1


def test_all_walkers_are_asked_the_same_unless_a_seed_says_otherwise() -> None:
    first, again, other = (check_walker(StudentWalk(), seed=seed) for seed in (None, None, 7))
    assert first.shares.counts == again.shares.counts != other.shares.counts


def test_walker_that_forgets_to_mark_is_told_which_entry() -> None:
    def unmarked(read_u64: Any, root: int, gva: int, *, write_u64: Any) -> Any:
        return walk(Door(read_u64, lambda pa, value: None), Paging(root), gva, Access())

    with pytest.raises(WalkerDisagrees) as wrong:
        check_walker(unmarked)
    assert "    the entry at 0x1000 is left as 0x2007 and not as 0x2027" in str(wrong.value)


def test_c_walk_of_two_stages_passes() -> None:
    def two(read_u64: Any, root: int, second_root: int, gva: int, **said: Any) -> Any:
        access = Access(kind(said["write"], said["execute"]), said["user"], said["ac"], said["implicit"])
        guest = Paging(root, *(said[n] for n in ("levels", "physical_bits", "nxe", "wp", "smep", "smap")))
        second = Paging(second_root, said["second_levels"], said["physical_bits"], said["second_nxe"])
        memory, before = said["write_u64"].__self__.memory, said["write_u64"].__self__.memory.as_buffer()
        found = native.nested_walk(before, guest, second, gva, access)
        for pa in memory.words:
            said["write_u64"](pa, before.read_u64(pa))
        return found

    assert check_walker(two, stages=2).shares.share("violation on a table") > 0


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(VacuousCheck) as refusal:
        check_walker(StudentWalk(), examples=1)
    assert str(refusal.value) == (
        "A check that passes has met every outcome, and of 1 walks too few met mapped: 2 MiB, mapped: 1 GiB, "
        "not canonical, absent, reserved, R/W, U/S, NX: draw more than 1 examples."
    )


def test_no_examples_are_refused() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_walker(StudentWalk(), examples=0)
    assert str(refusal.value) == "A check draws at least one world, not 0: give examples=1 or more."


@pytest.mark.parametrize("stages", FLOORS)
def test_floors_ask_for_names_that_a_walker_may_use(stages: int) -> None:
    assert all(0 < floor < 0.2 for floor, _ in FLOORS[stages].values())
    assert {name for _, needed in FLOORS[stages].values() for name in needed} <= set(NAMES)
