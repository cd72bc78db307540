"""The privilege masks that partitions are created with."""

import pytest

from minihv.hypervisor.privileges import CHILD, NONE, PARENT, Privilege

OF_A_PARENT = (
    Privilege.CREATE_PARTITIONS
    | Privilege.ACCESS_MEMORY_POOL
    | Privilege.CPU_MANAGEMENT
    | Privilege.CREATE_PORT
    | Privilege.CONNECT_PORT
)


def test_no_privilege_is_the_empty_mask() -> None:
    assert int(NONE) == 0


def test_child_shows_its_privileges_in_the_bits_of_the_tlfs() -> None:
    assert int(CHILD) == 0x0000_0032_0000_0EFF


def test_parent_has_all_of_a_childs_privileges_and_five_more() -> None:
    assert PARENT & CHILD == CHILD
    assert PARENT & ~CHILD == OF_A_PARENT


@pytest.mark.parametrize("privilege", list(OF_A_PARENT))
def test_child_cannot_manage_partitions_memory_ports_or_processors(privilege: Privilege) -> None:
    assert not CHILD & privilege
