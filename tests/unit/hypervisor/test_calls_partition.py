"""The calls about partitions: ids, children, properties."""

import pytest
from calls_made import GET_ID, NEXT_CHILD, NOT_THERE, OUTPUT, PROPERTY, ask, call, family, words
from machines import SmallMachine

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.privileges import CHILD
from minihv.spec.hypercalls import PartitionProperty, Status


def test_partition_asks_for_its_own_id() -> None:
    with SmallMachine() as machine:
        assert ask(machine, GET_ID) == (Status.SUCCESS, 0)
        assert machine.read(OUTPUT) == machine.partition.id == 1


def test_children_are_listed_one_after_the_other_until_zero() -> None:
    machine, child = family()
    with machine:
        second = machine.add_partition("second", "hlt")
        second.parent_id = 1
        listed = [0]
        while len(listed) == 1 or listed[-1]:
            assert call(machine, NEXT_CHILD, words(SELF, listed[-1])) == (Status.SUCCESS, 0)
            listed.append(machine.read(OUTPUT))
        assert listed == [0, child.id, second.id, 0]


@pytest.mark.parametrize("previous", [1, NOT_THERE, SELF])
def test_list_of_children_goes_on_only_after_a_child(previous: int) -> None:
    machine, _ = family()
    with machine:
        assert call(machine, NEXT_CHILD, words(SELF, previous)) == (Status.INVALID_PARTITION_ID, 0)


@pytest.mark.parametrize(
    ("code", "value"),
    [(PartitionProperty.PRIVILEGE_FLAGS, int(CHILD)), (PartitionProperty.PROCESSOR_VENDOR, 0)],
)
def test_property_of_a_partition_is_told(code: int, value: int) -> None:
    machine, child = family()
    with machine:
        machine.write(OUTPUT, SELF)
        assert call(machine, PROPERTY, words(child.id, code)) == (Status.SUCCESS, 0)
        assert machine.read(OUTPUT) == value
