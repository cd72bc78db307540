"""Whom a hypercall may name: the caller, its children, and their virtual processors."""

import pytest
from calls_made import GET, NEXT_CHILD, NOT_THERE, PROPERTY, TRANSLATE, call, family, get, reps, words
from machines import CODE, SmallMachine

from minihv.hypervisor.call_form import SELF, THIS_VP
from minihv.spec.hypercalls import PartitionProperty, RegisterName, Status


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (SELF, Status.SUCCESS), (1, Status.SUCCESS), (2, Status.SUCCESS), (3, Status.ACCESS_DENIED),
        (0, Status.INVALID_PARTITION_ID), (NOT_THERE, Status.INVALID_PARTITION_ID),
    ],
)  # fmt: skip
def test_call_may_name_the_caller_and_its_children_only(target: int, status: Status) -> None:
    machine, _ = family()
    with machine:
        machine.add_partition("stranger", "hlt")
        property_of = words(target, PartitionProperty.PRIVILEGE_FLAGS)
        assert call(machine, PROPERTY, property_of)[0] is status
        assert call(machine, NEXT_CHILD, words(target, 0))[0] is status
        assert call(machine, TRANSLATE, words(target, 0, 1, 0))[0] is status
        assert call(machine, reps(GET, 1), words(target, 0) + b"\0\0\2\0")[0] is status


def test_child_may_not_name_its_parent() -> None:
    machine, child = family()
    with machine:
        machine.partition.parent_id, child.parent_id = child.id, 0
        assert call(machine, NEXT_CHILD, words(child.id, 0)) == (Status.ACCESS_DENIED, 0)


@pytest.mark.parametrize("index", [1, 64, THIS_VP - 1, 0xFFFF_FFFF])
def test_vp_that_is_not_there_is_an_invalid_index(index: int) -> None:
    with SmallMachine() as machine:
        assert call(machine, TRANSLATE, words(SELF, index, 1, 0)) == (Status.INVALID_VP_INDEX, 0)


def test_callers_own_vp_has_a_number_of_its_own_that_means_nothing_for_a_child() -> None:
    machine, child = family()
    with machine:
        assert get(machine, SELF, [RegisterName.RIP], vp=THIS_VP) == [words(CODE, 0)]
        assert call(machine, TRANSLATE, words(child.id, THIS_VP, 1, 0)) == (Status.INVALID_VP_INDEX, 0)
