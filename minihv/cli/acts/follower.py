"""Follows VPs from one instruction to the next, whoever is about to run, and says what each brought about.

Stands for: a logic analyser on the machine.
Simplified: a VP goes on until it cannot, and has no turn that ends; alarms do not go off.
Next: ``minihv.cli.acts.act2``
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from minihv.cli.acts.pictures import Instruction, instruction_at
from minihv.guests.image import Image
from minihv.hypervisor.apic import VIRTUAL_INTERRUPT
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.states import VpState
from minihv.hypervisor.tracing import exit_name
from minihv.hypervisor.vp import VirtualProcessor
from minihv.parent.gate import CODE_BITS, MAGIC, GateCode
from minihv.spec.hypercalls import HypercallInput
from minihv.spec.svm_exits import SvmExit
from minihv.spec.vmcb import VirtualInterrupt
from minihv.spec.x86_segments import GateDescriptor

GATE_BYTES = 16
USER_HALF = 0x4000_0000_0000
"""Behind it lies what no image has a name for: the code of the parent's workers."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction that was executed, or that made its VP exit."""

    who: str
    ring: int
    function: str
    instruction: Instruction
    exit: str = ""
    """The name of the exit it caused, if any; for a VMMCALL what was asked for."""
    interrupts: int = 0
    """Delivered before it."""


class Functions:
    """Which function of an image an address lies in."""

    def __init__(self, image: Image) -> None:
        named = sorted((int(gva), name) for name, gva in image.symbols.items())
        self._begins = [gva for gva, _ in named]
        self._names = [name.partition(".")[0] for _, name in named]

    def at(self, rip: int) -> str:
        """The name of the last symbol that is not behind ``rip``."""
        place = bisect_right(self._begins, rip) - 1
        return "worker" if rip >= USER_HALF or place < 0 else self._names[place]


class Follower:
    """Executes the VPs of a machine step by step. ``named`` says what each is called and runs."""

    def __init__(self, hypervisor: Hypervisor, named: Mapping[VirtualProcessor, tuple[str, Image]]) -> None:
        self._hypervisor = hypervisor
        self._named = {vp: (who, Functions(image)) for vp, (who, image) in named.items()}
        self._current = next(iter(named))

    def steps(self, limit: int) -> Iterator[Step]:
        """At most ``limit`` steps, and fewer when nobody is ready any more."""
        for _ in range(limit):
            if self._current.state is not VpState.READY:
                ready = self._hypervisor.scheduler.ready()
                if not ready:
                    return
                self._current = ready[0]
            yield self._step(self._current)

    def _step(self, vp: VirtualProcessor) -> Step:
        who, functions = self._named[vp]
        instruction, ring, handler = (
            instruction_at(self._hypervisor, vp),
            int(vp.save_area.cpl),
            handler_of(vp),
        )
        exits, interrupts, rcx = sum(vp.counters.exits), int(vp.counters.interrupts), vp.read("rcx")
        self._hypervisor.step(vp)
        left = sum(vp.counters.exits) != exits
        delivered = int(vp.counters.interrupts) - interrupts
        if delivered:  # so the instruction was the first of the handler, in ring 0
            instruction, ring = instruction_at(self._hypervisor, vp, handler), 0
        return Step(
            who,
            ring,
            functions.at(instruction.rip),
            instruction,
            exit=exit_words(int(vp.control.exit_code), rcx) if left else "",
            interrupts=delivered,
        )


def handler_of(vp: VirtualProcessor) -> int:
    """Where the gate of the interrupt that is offered to ``vp`` leads; 0 where there is none.

    Simplified: the IDT is read at a GPA, which for the guests of the tour is its GVA.
    """
    interrupt = VirtualInterrupt(vp.words[VIRTUAL_INTERRUPT])
    if not interrupt.is_offered:
        return 0
    gate = vp.read_segment("idtr").base + interrupt.vector * GATE_BYTES
    space = vp.partition.gpa_space
    if not space.is_backed(gate, GATE_BYTES):
        return 0
    return GateDescriptor(int.from_bytes(space.read(gate, GATE_BYTES), "little")).offset


def exit_words(code: int, rcx: int) -> str:
    """The name of an exit, and what a VMMCALL with that RCX asks for."""
    if code != SvmExit.VMMCALL:
        return exit_name(code)
    if rcx & ~CODE_BITS == MAGIC:
        return f"VMMCALL, the gate: {GateCode(rcx & CODE_BITS).name}"
    return f"VMMCALL, {call_name(HypercallInput(rcx).call_code)}"


@dataclass(slots=True)
class Stretch:
    """What one partition did between two events that others can see."""

    who: str
    begins: str
    functions: dict[str, int]
    """Instructions in each, in the order in which they were entered first."""
    ends: str = ""
    ring_changes: int = 0
    """Between ring 0 and ring 3."""

    @property
    def instructions(self) -> int:
        """All of them."""
        return sum(self.functions.values())


def stretches(steps: Iterable[Step]) -> list[Stretch]:
    """The steps by stretches: an exit ends one, and so does a turn of somebody else."""
    found: list[Stretch] = []
    rings: dict[str, int] = {}
    current: Stretch | None = None
    for step in steps:
        if current is None or current.who != step.who:
            current = Stretch(step.who, "an interrupt" if step.interrupts else "", {})
            found.append(current)
        name = step.function if step.ring == 0 else f"{step.function} (ring {step.ring})"
        current.functions[name] = current.functions.get(name, 0) + 1
        current.ring_changes += rings.get(step.who, step.ring) != step.ring
        rings[step.who] = step.ring
        if step.exit:
            current.ends = step.exit
            current = None
    return found
