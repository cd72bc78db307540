"""What the follower of instructions says is what the machine counts."""

from collections import Counter

import pytest
from assembler import assemble
from parent_machines import CHILD_BYTES, NEEDS_COMPILER, booted, echo_child, needs_calls

from minihv.cli.acts.follower import Follower, Functions, Step, exit_words, stretches
from minihv.cli.acts.pictures import Instruction
from minihv.guests.image import Image, Segment, load_image
from minihv.parent.gate import MAGIC
from minihv.parent.partition import KERNEL, ParentPartition
from minihv.spec.svm_exits import SvmExit
from minihv.terms import PAGE_BYTES, Gpa, Gva

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]


def image(symbols: dict[str, int], code: bytes = b"\xf4") -> Image:
    at = Gpa(0x10_0000)
    segment = Segment(Gva(at), at, code, PAGE_BYTES, True, True, True)
    return Image("one", Gva(at), (segment,), (), {name: Gva(gva) for name, gva in symbols.items()}, 4)


def counted(parent: ParentPartition) -> Counter[str]:
    """Exits and interrupts of everybody, as the machine counts them."""
    total: Counter[str] = Counter()
    for partition in parent.hypervisor.partitions.values():
        for vp in partition.vps:
            total.update(exits=sum(vp.counters.exits), interrupts=int(vp.counters.interrupts))
    return total


def test_sums_of_the_steps_are_what_the_machine_counts() -> None:
    with booted() as parent:
        child = echo_child(parent, "echo", 1)
        parent.begin(child)
        before = counted(parent)
        named = {
            parent.vp: ("parent", load_image(KERNEL)),
            child.partition.vps[0]: ("child", child.plan.image or image({})),
        }
        steps = list(Follower(parent.hypervisor, named).steps(100_000))
        assert child.partition.exit_status == 0
        told = Counter(exits=sum(bool(step.exit) for step in steps), interrupts=0)
        told.update(interrupts=sum(step.interrupts for step in steps))
        assert told == counted(parent) - before
        assert len(steps) == sum(part.instructions for part in stretches(steps))


def test_first_instruction_behind_an_interrupt_is_that_of_the_handler() -> None:
    with booted() as parent:
        child = echo_child(parent, "echo", 1)
        parent.begin(child)
        named = {
            parent.vp: ("parent", load_image(KERNEL)),
            child.partition.vps[0]: ("child", child.plan.image or image({})),
        }
        behind = [step for step in Follower(parent.hypervisor, named).steps(100_000) if step.interrupts]
        assert {step.function for step in behind} == {"trap_stubs"}
        assert all(step.instruction.text.startswith("push") and step.ring == 0 for step in behind)


def test_worker_of_a_child_is_seen_in_ring_3() -> None:
    with booted() as parent:
        pokes = image({"poke": 0x10_0000}, assemble("in al, 0x60; hlt", 0x10_0000))
        child = parent.create_child("pokes", CHILD_BYTES, image=pokes, start=False)
        parent.begin(child)
        named = {
            parent.vp: ("parent", load_image(KERNEL)),
            child.partition.vps[0]: ("child", pokes),
        }
        steps = list(Follower(parent.hypervisor, named).steps(100_000))
        assert {step.ring for step in steps if step.function == "worker"} == {3}
        assert sum(part.ring_changes for part in stretches(steps)) == 2


@pytest.mark.parametrize(("rip", "name"), [(0x1000, "a"), (0x1FFF, "a"), (0x2000, "b"), (0x9_0000, "b")])
def test_an_address_lies_in_the_function_that_begins_before_it(rip: int, name: str) -> None:
    assert Functions(image({"b.cold": 0x2000, "a": 0x1000})).at(rip) == name


@pytest.mark.parametrize("rip", [0, 0xFFF, 0x4000_0000_0000])
def test_an_address_that_no_image_names_is_a_worker(rip: int) -> None:
    assert Functions(image({"a": 0x1000})).at(rip) == "worker"


@pytest.mark.parametrize(
    ("code", "rcx", "words"),
    [
        (SvmExit.HLT, MAGIC, "HLT"),
        (SvmExit.VMMCALL, 0x1_005D, "VMMCALL, HvSignalEvent"),
        (SvmExit.VMMCALL, MAGIC | 5, "VMMCALL, the gate: CHANNEL_EVENT"),
    ],
)
def test_exits_are_words(code: SvmExit, rcx: int, words: str) -> None:
    assert exit_words(code, rcx) == words


def test_exit_and_turn_of_another_end_a_stretch() -> None:
    nop = Instruction(0, b"\x90", "nop")
    steps = [
        Step("a", 0, "one", nop),
        Step("a", 3, "one", nop),
        Step("a", 3, "two", nop, exit="HLT"),
        Step("b", 0, "three", nop, interrupts=1),
        Step("a", 0, "one", nop),
    ]
    found = [
        (part.who, part.functions, part.begins, part.ends, part.ring_changes) for part in stretches(steps)
    ]
    assert found == [
        ("a", {"one": 1, "one (ring 3)": 1, "two (ring 3)": 1}, "", "HLT", 1),
        ("b", {"three": 1}, "an interrupt", "", 0),
        ("a", {"one": 1}, "", "", 1),
    ]
