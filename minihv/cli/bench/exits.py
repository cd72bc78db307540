"""Rows ``exits.*``: what it costs to leave a guest, decide, and go on.

The engine's bare hook steps over the instruction and decides nothing; minihv reads the registers, knows
which instruction it was, applies its policy, writes the registers and counts.

Next: ``minihv.cli.bench.cpu``
"""

import time

from minihv.cli.bench import qemu
from minihv.cli.bench.loops import Listing
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Bare, Binding, Child
from minihv.terms import Gpa

IN_C, IN_PYTHON = Goal("ratio", "<=", 2.5), Goal("ratio", "<=", 5)
FASTER_THAN_NESTED = Goal("ratio", ">=", 50)
HYPERCALL_PAGE = Gpa(0x30_0000)

KEEP_COUNT = ("4989c8", "mov r8, rcx")
COUNT = ("49ffc8", "dec r8")

CPUID = Listing(before=(KEEP_COUNT,), body=(("31c0", "xor eax, eax"), ("0fa2", "cpuid")), counter=COUNT)
"""Leaf 0, the vendor."""
HYPERCALL = Listing(
    before=(KEEP_COUNT, ("b908000100", "mov ecx, 0x10008")), body=(("0f01d9", "vmmcall"),), counter=COUNT
)
"""HvNotifyLongSpinWait, fast: its input is in registers."""
RDMSR = Listing(
    before=(KEEP_COUNT, ("b902000040", "mov ecx, 0x40000002")), body=(("0f32", "rdmsr"),), counter=COUNT
)
"""HV_X64_MSR_VP_INDEX: a register that only Python knows."""


def cpuid(effort: Effort) -> Row:
    """CPUID, answered by the core from the partition's table."""
    count = effort.times(100_000)
    with Child(CPUID) as child, Bare(CPUID) as bare:
        pairs = effort.pairs(
            "exits.cpuid",
            lambda: nanoseconds(lambda: child.run(count), count),
            lambda: nanoseconds(lambda: bare.run(count), count),
            turns=4,
        )
    return row("exits.cpuid", "ns", "a C hook of the engine that steps over CPUID", pairs, IN_C)


def hypercall(effort: Effort) -> Row:
    """A hypercall that the core answers."""
    count = effort.times(100_000)
    with Child(HYPERCALL) as child, Bare(HYPERCALL) as bare:
        child.partition.guest_os_id = 1
        child.partition.set_hypercall_page(HYPERCALL_PAGE)
        pairs = effort.pairs(
            "exits.hypercall",
            lambda: nanoseconds(lambda: child.run(count), count),
            lambda: nanoseconds(lambda: bare.run(count), count),
            turns=4,
        )
    return row("exits.hypercall", "ns", "a C hook of the engine that steps over VMMCALL", pairs, IN_C)


def hypercall_qemu(effort: Effort) -> Row | str:
    """The same beside the least that a hypervisor under QEMU can do: VMRUN, #VMEXIT, VMRUN again."""
    name, program = "exits.hypercall-qemu", qemu.find()
    if program is None:
        return f"{name} is left out: {qemu.PROGRAM} is not installed."
    peer = qemu.Qemu(program, HYPERCALL, nested=True)
    if peer.seconds(1) is None:
        return f"{name} is left out: {qemu.PROGRAM} does not start the loop here."
    count, theirs = effort.times(500_000), effort.times(50_000)
    with Child(HYPERCALL) as child:
        child.partition.guest_os_id = 1
        child.partition.set_hypercall_page(HYPERCALL_PAGE)
        pairs = effort.pairs(
            name,
            lambda: 1e3 / nanoseconds(lambda: child.run(count), count, time.perf_counter_ns),
            lambda: theirs / 1e6 / (peer.seconds(theirs) or float("nan")),
        )
    against = "an exit to a hypervisor under qemu-system-x86_64 -accel tcg"
    return row(name, "million calls/s", against, pairs, FASTER_THAN_NESTED)


def python(effort: Effort) -> Row:
    """RDMSR of a synthetic MSR: the whole policy of ``minihv.hypervisor``, registers read and written."""
    count = effort.times(20_000)
    with Child(RDMSR) as child, Binding(CPUID, does_nothing) as binding:
        pairs = effort.pairs(
            "exits.python",
            lambda: nanoseconds(lambda: child.run(count), count),
            lambda: nanoseconds(lambda: binding.run(count), count),
            turns=4,
        )
    return row("exits.python", "ns", "a Python hook of the engine that does nothing", pairs, IN_PYTHON)


def does_nothing(_engine: object, _user: object) -> bool:
    """The peer of the Python policy. False lets the engine execute the CPUID itself."""
    return False


ROWS: dict[str, Measure] = {
    "cpuid": cpuid,
    "hypercall": hypercall,
    "hypercall-qemu": hypercall_qemu,
    "python": python,
}
