"""Virtual time: executed blocks, and what is read off them. The host's clock is never asked.

Stands for: the crystal of the machine.
Spec: TLFS, "Timers" (the reference counter counts units of 100 ns).
Simplified: a translated block takes 4 ns whatever it contains; the TSC runs at 1 GHz.
"""

from minihv.machine.native import lib

NS_PER_BLOCK: int = lib.MHV_TICKS_PER_BLOCK
TSC_HZ = 1_000_000_000
REFERENCE_HZ = 10_000_000
NS_PER_REFERENCE_UNIT = 1_000_000_000 // REFERENCE_HZ


def reference_time(blocks: int) -> int:
    """The reference counter, in units of 100 ns, after ``blocks`` blocks of virtual time."""
    return blocks * NS_PER_BLOCK // NS_PER_REFERENCE_UNIT


def blocks_until(reference_units: int) -> int:
    """How many blocks of virtual time reach ``reference_units``: the smallest number that does."""
    return -(-reference_units * NS_PER_REFERENCE_UNIT // NS_PER_BLOCK)
