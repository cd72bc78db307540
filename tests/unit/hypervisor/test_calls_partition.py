"""The calls about partitions: ids, children, properties."""

import pytest
from calling_parent import Parent
from calls_made import GET_ID, NEXT_CHILD, NOT_THERE, OUTPUT, PROPERTY, ask, call, family, words
from machines import SmallMachine

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.privileges import CHILD, PARENT, Privilege
from minihv.hypervisor.states import PartitionState
from minihv.spec.hypercalls import CallCode, PartitionProperty, Status

CREATE, INITIALIZE, FINALIZE, DELETE = (
    CallCode.CREATE_PARTITION,
    CallCode.INITIALIZE_PARTITION,
    CallCode.FINALIZE_PARTITION,
    CallCode.DELETE_PARTITION,
)
GET_PROPERTY, SET_PROPERTY = CallCode.GET_PARTITION_PROPERTY, CallCode.SET_PARTITION_PROPERTY
PRIVILEGES = PartitionProperty.PRIVILEGE_FLAGS


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


# The life of a partition.


def test_partition_lives_from_creation_to_deletion() -> None:
    with Parent() as parent:
        child = parent.create()
        partition = parent.hypervisor.partitions[child]
        assert (partition.state, partition.parent_id) == (PartitionState.UNINITIALIZED, 1)
        assert parent.deposit(child, parent.pages(2)) == (Status.SUCCESS, 2)
        assert parent.status(INITIALIZE, child) is Status.SUCCESS
        assert partition.state is PartitionState.ACTIVE
        assert parent.status(FINALIZE, child) is Status.SUCCESS
        assert partition.state is PartitionState.FINALIZED
        assert parent.status(DELETE, child) is Status.SUCCESS
        assert child not in parent.hypervisor.partitions


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        (PartitionState.UNINITIALIZED, {FINALIZE, GET_PROPERTY, SET_PROPERTY}),
        (PartitionState.ACTIVE, {INITIALIZE, DELETE}),
        (PartitionState.FINALIZED, {INITIALIZE, FINALIZE, GET_PROPERTY, SET_PROPERTY}),
    ],
)
def test_call_that_does_not_fit_the_state_is_refused(state: PartitionState, refused: set[CallCode]) -> None:
    for code in (INITIALIZE, FINALIZE, DELETE, GET_PROPERTY, SET_PROPERTY):
        with Parent() as parent:
            child = parent.create() if state is PartitionState.UNINITIALIZED else parent.active()
            if state is PartitionState.FINALIZED:
                parent.status(FINALIZE, child)
            numbers = (child, PRIVILEGES, int(CHILD))[: 1 if code < GET_PROPERTY else 3]
            is_refused = parent.status(code, *numbers) is Status.INVALID_PARTITION_STATE
            assert is_refused == (code in refused), code.name


@pytest.mark.parametrize("frames", [0, 1])
def test_partition_that_cannot_pay_stays_uninitialized(frames: int) -> None:
    with Parent() as parent:
        child = parent.create()
        parent.deposit(child, parent.pages(frames)) if frames else None
        assert parent.status(INITIALIZE, child) is Status.INSUFFICIENT_MEMORY
        assert parent.hypervisor.partitions[child].state is PartitionState.UNINITIALIZED


@pytest.mark.parametrize("code", [INITIALIZE, FINALIZE, DELETE])
def test_partition_does_not_do_to_itself_what_a_parent_does(code: CallCode) -> None:
    with Parent() as parent:
        assert parent.status(code, SELF) is Status.ACCESS_DENIED
        assert parent.status(code, NOT_THERE) is Status.INVALID_PARTITION_ID


def test_only_a_partition_with_the_privilege_creates_others_and_children_never() -> None:
    with SmallMachine() as machine:
        assert call(machine, CREATE, words(0, 0)) == (Status.ACCESS_DENIED, 0)
    with Parent() as parent:
        child = parent.boot("hlt")
        child.partition.privileges = PARENT
        assert parent.call(CREATE, words(0, 0), caller=child.vp)[0] is Status.PARTITION_TOO_DEEP


def test_machine_that_has_used_all_its_ids_makes_no_more() -> None:
    with Parent() as parent:
        parent.hypervisor._next_id = 0xFFFF
        assert parent.status(CREATE, 0, 0) is Status.NO_RESOURCES


def test_children_go_with_their_parent_and_every_frame_comes_back() -> None:
    with Parent(16) as parent:
        frames = parent.hypervisor.memory.frames
        for _ in range(3):
            parent.boot("hlt")
        parent.create()
        parent.hypervisor.delete_partition(parent.partition.id)
        assert not parent.hypervisor.partitions and not frames.shares.any()
        assert set(frames.owners.tolist()) == {0, 0xFFFF}


# Properties that can be set.


def test_privileges_are_set_from_those_of_the_parent_before_there_is_a_vp() -> None:
    with Parent() as parent:
        child = parent.active()
        less = int(Privilege.ACCESS_HYPERCALL)
        assert parent.status(SET_PROPERTY, child, PRIVILEGES, less) is Status.SUCCESS
        assert parent.status(GET_PROPERTY, child, PRIVILEGES) is Status.SUCCESS
        assert parent.output() == less
        more = int(Privilege.DEBUGGING)
        assert parent.status(SET_PROPERTY, child, PRIVILEGES, more) is Status.ACCESS_DENIED
        assert parent.status(SET_PROPERTY, child, PRIVILEGES, 1 << 63) is Status.ACCESS_DENIED
        assert parent.status(CallCode.CREATE_VP, child, 0, 0, 0) is Status.SUCCESS
        assert parent.status(SET_PROPERTY, child, PRIVILEGES, int(CHILD)) is Status.OBJECT_IN_USE


@pytest.mark.parametrize(
    ("code", "default", "least", "most"),
    [
        (PartitionProperty.CPU_RESERVE, 0, 0, 0x10000),
        (PartitionProperty.CPU_CAP, 0x10000, 0, 0x10000),
        (PartitionProperty.CPU_WEIGHT, 100, 1, 10000),
    ],
)
def test_share_of_a_processor_is_kept_within_its_range(
    code: PartitionProperty, default: int, least: int, most: int
) -> None:
    with Parent() as parent:
        child = parent.active()
        parent.status(GET_PROPERTY, child, code)
        assert parent.output() == default
        for value, status in ((least, Status.SUCCESS), (most, Status.SUCCESS)):
            assert parent.status(SET_PROPERTY, child, code, value) is status
        parent.status(GET_PROPERTY, child, code)
        assert parent.output() == most
        refused = Status.PROPERTY_VALUE_OUT_OF_RANGE
        assert parent.status(SET_PROPERTY, child, code, most + 1) is refused
        assert least == 0 or parent.status(SET_PROPERTY, child, code, least - 1) is refused


def test_property_that_is_fixed_unknown_or_one_s_own_is_not_set() -> None:
    with Parent() as parent:
        child, vendor = parent.active(), PartitionProperty.PROCESSOR_VENDOR
        assert parent.status(SET_PROPERTY, child, vendor, 1) is Status.OPERATION_DENIED
        assert parent.status(SET_PROPERTY, child, 0x77, 1) is Status.UNKNOWN_PROPERTY
        assert parent.status(SET_PROPERTY, SELF, PRIVILEGES, 1) is Status.ACCESS_DENIED
