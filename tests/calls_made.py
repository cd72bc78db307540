"""Calls made for the tests of ring -1: by VP 0 of a small machine, with its parameters in place."""

from collections.abc import Iterable

from machines import SmallMachine

from minihv.hypervisor.hypercalls import perform
from minihv.hypervisor.partition import Partition
from minihv.spec.hypercalls import CallCode, Status
from minihv.terms import PAGE_BYTES, Gpa

INPUT, OUTPUT, PAGE = 0x8000, 0x9000, Gpa(0x10_3000)
GET_ID, NEXT_CHILD, PROPERTY = (
    CallCode.GET_PARTITION_ID,
    CallCode.GET_NEXT_CHILD_PARTITION,
    CallCode.GET_PARTITION_PROPERTY,
)
GET, SET, TRANSLATE = CallCode.GET_VP_REGISTERS, CallCode.SET_VP_REGISTERS, CallCode.TRANSLATE_VIRTUAL_ADDRESS
SPIN_WAIT = CallCode.NOTIFY_LONG_SPIN_WAIT
FAST = 1 << 16
NOT_THERE = 77


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


def call(
    machine: SmallMachine, value: int, block: bytes = b"", *, at: int = INPUT, to: int = OUTPUT
) -> tuple[Status, int]:
    """VP 0 makes a call with ``block`` as its input; the status and the reps that are done."""
    machine.partition.gpa_space.write(INPUT if at % PAGE_BYTES else at, block)
    return ask(machine, value, at=at, to=to)


def ask(machine: SmallMachine, value: int, *, at: int = INPUT, to: int = OUTPUT) -> tuple[Status, int]:
    """The same with the memory as it is."""
    machine.vp.write("rdx", at)
    machine.vp.write("r8", to)
    return perform(machine.hypervisor, machine.vp, value)


def reps(code: int, count: int, start: int = 0) -> int:
    return code | count << 32 | start << 48


def family() -> tuple[SmallMachine, Partition]:
    """A machine whose small partition has a child, number 2, that runs ``hlt``."""
    machine = SmallMachine(partitions=3)
    child = machine.add_partition("child", "hlt")
    child.parent_id = machine.partition.id
    return machine, child


def get(machine: SmallMachine, partition_id: int, names: Iterable[int], vp: int = 0) -> list[bytes]:
    """What HvGetVpRegisters answers, one element a register."""
    listed = list(names)
    block = words(partition_id, vp) + b"".join(name.to_bytes(4, "little") for name in listed)
    assert call(machine, reps(GET, len(listed)), block) == (Status.SUCCESS, len(listed))
    output = machine.partition.gpa_space.read(OUTPUT, 16 * len(listed))
    return [output[at : at + 16] for at in range(0, len(output), 16)]


def element(name: int, value: bytes) -> bytes:
    return name.to_bytes(16, "little") + value.ljust(16, b"\0")


def set_one(
    machine: SmallMachine, partition_id: int, name: int, value: bytes, vp: int = 0
) -> tuple[Status, int]:
    return call(machine, reps(SET, 1), words(partition_id, vp) + element(name, value))
