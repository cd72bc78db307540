"""The state of VPs and partitions as values to compare: all that a guest can see, and no fill counts."""

from hashlib import blake2b
from typing import Any

from minihv.hypervisor.partition import Partition
from minihv.hypervisor.register_values import GENERAL
from minihv.hypervisor.vp import SEGMENTS, TABLES, VirtualProcessor
from minihv.terms import PAGE_BYTES

CONTROL = ("rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer", "dr6", "dr7")
MODEL_SPECIFIC = (
    "star",
    "lstar",
    "cstar",
    "sfmask",
    "kernel_gs_base",
    "sysenter_cs",
    "sysenter_eip",
    "sysenter_esp",
)
COUNTED_ARRAYS = {"exits": 272, "exceptions": 32, "hypercalls": 256}


def registers_of(vp: VirtualProcessor) -> dict[str, Any]:
    """Every register that a guest can read."""
    numbers: dict[str, Any] = {name: vp.read(name) for name in (*GENERAL, *CONTROL, *MODEL_SPECIFIC)}
    segments = {name: vp.read_segment(name) for name in (*SEGMENTS, *TABLES)}
    debug = {f"dr{number}": int(vp.handle.debug_address[number]) for number in range(4)}
    pending = {
        "event": int(vp.control.event_injection),
        "interrupt": int(vp.control.virtual_interrupt),
        "shadow": int(vp.control.interrupt_shadow),
    }
    return numbers | segments | debug | pending | {"state": vp.state, "why": vp.why}


def counters_of(vp: VirtualProcessor) -> dict[str, Any]:
    """Every count that may not depend on the moment at which the engine missed its TLB."""
    counters = vp.counters
    arrays = {name: list(getattr(counters, name)) for name in COUNTED_ARRAYS}
    return arrays | {"blocks": int(counters.blocks), "interrupts": int(counters.interrupts)}


def memory_of(partition: Partition) -> str:
    """A digest of the partition's RAM."""
    space = partition.gpa_space
    return blake2b(space.read(0, space.ram_bytes), digest_size=16).hexdigest()


def state_of(partition: Partition) -> dict[str, Any]:
    """All of a partition."""
    return {
        "vps": [registers_of(vp) | counters_of(vp) for vp in partition.vps],
        "memory": memory_of(partition),
        "console": bytes(partition.console),
        "stopped": (partition.exit_status, partition.why),
    }


def difference(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, with both values; nothing when they are equal."""
    if isinstance(one, dict):
        return [line for key in one for line in difference(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [line for at, (a, b) in enumerate(pairs) for line in difference(a, b, f"{path}[{at}]")]
    return [] if one == other else [f"{path}: {one} is not {other}"]


def second_level_of(partition: Partition) -> list[int]:
    """The second-level entries of all pages of RAM, with what the walks marked in them."""
    tables = partition.gpa_space._tables
    found = [tables.find(gpa) for gpa in range(0, partition.gpa_space.ram_bytes, PAGE_BYTES)]
    return [leaf.entry for leaf in found if leaf is not None]
