"""CPUID as a partition sees it: the emulated processor's leaves, filtered, and the hypervisor's own.

Stands for: ring -1's CPUID intercept (answered in C, ``native/core/src/exits.c``).
Spec: AMD APM vol. 3, "CPUID Feature Flags"; TLFS, "Hypervisor CPUID Leaf Range".
Simplified: no cache, topology or performance leaves; features that the engine cannot execute, or executes
    with the host's randomness (RDRAND, RDSEED), are hidden.
"""

from typing import Any

from minihv.hypervisor.privileges import Privilege
from minihv.machine.native import ffi
from minihv.spec.cpuid import (
    FeaturesEcx,
    HardwareFeatures,
    HypervisorLeaf,
    MiscellaneousFeatures,
    Recommendations,
)

KINDS = (0x0000_0000, 0x4000_0000, 0x8000_0000)

FEATURES_ECX = (
    FeaturesEcx.SSE3
    | FeaturesEcx.PCLMULQDQ
    | FeaturesEcx.SSSE3
    | FeaturesEcx.CMPXCHG16B
    | FeaturesEcx.SSE41
    | FeaturesEcx.SSE42
    | FeaturesEcx.X2APIC
    | FeaturesEcx.MOVBE
    | FeaturesEcx.POPCNT
    | FeaturesEcx.AES
    | FeaturesEcx.HYPERVISOR
)
FEATURES_EDX = sum(1 << bit for bit in (0, 2, 3, 4, 5, 6, 8, 9, 13, 15, 19, 23, 24, 25, 26))
"""FPU DE PSE TSC MSR PAE CX8 APIC PGE CMOV CLFLUSH MMX FXSR SSE SSE2."""
STRUCTURED_EBX = sum(1 << bit for bit in (3, 7, 8, 19, 20))
"""BMI1 SMEP BMI2 ADX SMAP."""
STRUCTURED_ECX = 1 << 16
"""LA57."""
EXTENDED_ECX = sum(1 << bit for bit in (0, 5, 6))
"""LAHF LZCNT SSE4a."""
EXTENDED_EDX = FEATURES_EDX & 0x0183_F3FF | sum(1 << bit for bit in (11, 20, 26, 27, 29))
"""The shared bits of leaf 1, SYSCALL, NX, 1 GiB pages, RDTSCP, long mode."""
FAMILY_17H = 0x0080_0F12
BRAND = b"minihv virtual processor".ljust(48, b"\0")
PHYSICAL_BITS, LINEAR_BITS = 40, 57

MISCELLANEOUS = {
    Privilege.ACCESS_FREQUENCY: MiscellaneousFeatures.FREQUENCY_MSRS,
    Privilege.ACCESS_SYNIC: MiscellaneousFeatures.SINT_POLLING,
    Privilege.ACCESS_SYNTHETIC_TIMERS: MiscellaneousFeatures.DIRECT_TIMERS,
    Privilege.ACCESS_GUEST_IDLE: MiscellaneousFeatures.GUEST_IDLE_STATE,
}
"""Features of leaf 0x40000003, EDX, that come with a privilege."""

Leaf = tuple[int, int, int, int]
IDENTITY: Leaf = 7600, 6 << 16 | 1, 0, 0
"""Build, version 6.1, service pack and branch of the hypervisor that this one resembles."""


def words(text: bytes) -> list[int]:
    """``text`` as little-endian 32-bit words."""
    return [int.from_bytes(text[at : at + 4], "little") for at in range(0, len(text), 4)]


def processor_leaves(vp_count: int) -> dict[int, Leaf]:
    """The architectural leaves of a partition with ``vp_count`` VPs."""
    ebx, edx, ecx = words(b"AuthenticAMD")
    brand = words(BRAND)
    return {
        0x0: (7, ebx, ecx, edx),
        0x1: (FAMILY_17H, 8 << 8 | vp_count << 16, FEATURES_ECX, FEATURES_EDX),
        0x7: (0, STRUCTURED_EBX, STRUCTURED_ECX, 0),
        0x8000_0000: (0x8000_0008, ebx, ecx, edx),
        0x8000_0001: (FAMILY_17H, 0, EXTENDED_ECX, EXTENDED_EDX),
        0x8000_0002: (brand[0], brand[1], brand[2], brand[3]),
        0x8000_0003: (brand[4], brand[5], brand[6], brand[7]),
        0x8000_0004: (brand[8], brand[9], brand[10], brand[11]),
        0x8000_0008: (LINEAR_BITS << 8 | PHYSICAL_BITS, 0, vp_count - 1, 0),
    }


def hypervisor_leaves(
    privileges: Privilege, vp_count: int, lp_count: int, *, nested_paging: bool
) -> dict[int, Leaf]:
    """The leaves from 0x40000000 on, as they are before the guest has said who it is."""
    ebx, ecx, edx = words(b"Microsoft Hv")
    features = sum(bit for privilege, bit in MISCELLANEOUS.items() if privileges & privilege)
    hardware = HardwareFeatures.MSR_BITMAPS
    if nested_paging:
        hardware |= HardwareFeatures.SECOND_LEVEL_TRANSLATION
    return {
        HypervisorLeaf.VENDOR: (HypervisorLeaf.HARDWARE_FEATURES, ebx, ecx, edx),
        HypervisorLeaf.INTERFACE: (int.from_bytes(b"Hv#1", "little"), 0, 0, 0),
        HypervisorLeaf.VERSION: (0, 0, 0, 0),
        HypervisorLeaf.FEATURES: (privileges & 0xFFFF_FFFF, privileges >> 32, 0, features),
        HypervisorLeaf.RECOMMENDATIONS: (Recommendations.RELAXED_TIMING, 0xFFFF_FFFF, 0, 0),
        HypervisorLeaf.LIMITS: (64, lp_count, 0, 0),
        HypervisorLeaf.HARDWARE_FEATURES: (hardware, 0, 0, 0),
    }


def table(leaves: dict[int, Leaf]) -> Any:
    """A ``struct mhv_cpuid`` that answers ``leaves``, and zeros for everything else."""
    built = ffi.new("struct mhv_cpuid *")
    for leaf, values in leaves.items():
        write_leaf(built, leaf, values)
    built.indexed[0] = 1 << 4 | 1 << 7 | 1 << 0xB | 1 << 0xD
    return built


def write_leaf(built: Any, leaf: int, values: Leaf) -> None:
    """Has the ``struct mhv_cpuid`` answer ``leaf`` with ``values``."""
    kind, number = KINDS.index(leaf & 0xC000_0000), leaf & 0x3FFF_FFFF
    built.leaf_count[kind] = max(built.leaf_count[kind], number + 1)
    for register, value in enumerate(values):
        built.leaves[64 * kind + number][register] = value


def read_leaf(built: Any, leaf: int, subleaf: int, vp_index: int) -> Leaf:
    """What the core makes of the ``struct mhv_cpuid`` (``native/core/src/exits.c``)."""
    kind, number = leaf >> 30, leaf & 0x3FFF_FFFF
    if kind > 2 or number >= built.leaf_count[kind] or (subleaf and built.indexed[kind] >> number & 1):
        return 0, 0, 0, 0
    eax, ebx, ecx, edx = built.leaves[64 * kind + number]
    return eax, ebx | (vp_index << 24 if leaf == 1 else 0), ecx, edx


def show_identity(built: Any, *, shown: bool) -> None:
    """The hypervisor says who it is only to a guest that has done so.

    Spec: TLFS, "Hypervisor CPUID Leaf Range", leaf 0x40000002.
    """
    write_leaf(built, HypervisorLeaf.VERSION, IDENTITY if shown else (0, 0, 0, 0))
