"""The MSRs that a guest may touch: which pass straight through, and what the others mean.

Stands for: ring -1's MSR intercept and the MSR permission map.
Spec: AMD APM vol. 2, "MSR Intercepts"; TLFS, "Synthetic MSRs" (HYPERV: GUEST_OS_ID, HYPERCALL and their kin).
Simplified: no MTRRs, no machine check, no performance counters; an unknown MSR raises #GP.
"""

from functools import cache
from typing import TYPE_CHECKING

from minihv.errors import ConfigurationError
from minihv.hypervisor import msrs_apic, msrs_synic, msrs_time
from minihv.hypervisor.msr_policy import MsrPolicy, now
from minihv.hypervisor.privileges import Privilege
from minihv.machine import clock
from minihv.machine.memory import SystemMemory
from minihv.spec.msrs import Msr
from minihv.spec.x86_registers import Cr0, Efer
from minihv.terms import PAGE_BYTES, Gpa, Spa

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

PERMISSION_MAP_FRAMES = 2
PASSED_THROUGH = (
    Msr.SYSENTER_CS, Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.STAR, Msr.LSTAR, Msr.CSTAR, Msr.SFMASK,
    Msr.FS_BASE, Msr.GS_BASE, Msr.KERNEL_GS_BASE,
)  # fmt: skip
MAP_RANGES = (0x0, 0xC000_0000, 0xC001_0000)
"""Each range of 0x2000 MSRs has 0x800 bytes of the map, two bits an MSR: intercept read, intercept write."""

EFER_WRITABLE = int(Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE)
"""A number: the complement of flags would only have those that are defined."""


def write_permission_map(memory: SystemMemory, spa: Spa) -> None:
    """Fills the map at ``spa``: everything is intercepted except ``PASSED_THROUGH``."""
    bits = bytearray(b"\xff" * PERMISSION_MAP_FRAMES * PAGE_BYTES)
    for number in PASSED_THROUGH:
        base = next(start for start in reversed(MAP_RANGES) if number >= start)
        at = 0x800 * MAP_RANGES.index(base) * 4 + (number - base)
        bits[at // 4] &= ~(0b11 << at % 4 * 2)
    memory.write(spa, bytes(bits))


def _write_tsc(vp: "VirtualProcessor", value: int) -> bool:
    ticks = now(vp) * clock.NS_PER_BLOCK
    vp.control.tsc_offset = (value - ticks) & (1 << 64) - 1
    vp.partition.reference_tsc.refresh()
    return True


def _write_efer(vp: "VirtualProcessor", value: int) -> bool:
    held = vp.read("efer")
    if value & ~EFER_WRITABLE or ((value ^ held) & Efer.LME and vp.read("cr0") & Cr0.PG):
        return False
    vp.write("efer", value & ~Efer.LMA | held & Efer.LMA)
    return True


def _write_tsc_aux(vp: "VirtualProcessor", value: int) -> bool:
    if value >> 32:
        return False
    vp.handle.tsc_aux = value
    return True


def _write_pat(vp: "VirtualProcessor", value: int) -> bool:
    if any(kind not in (0, 1, 4, 5, 6, 7) for kind in value.to_bytes(8, "little")):
        return False
    vp.write("g_pat", value)
    return True


def _write_guest_os_id(vp: "VirtualProcessor", value: int) -> bool:
    vp.partition.identify(value)
    return True


def _read_hypercall(vp: "VirtualProcessor") -> int:
    page = vp.partition.hypercall_page
    return vp.partition.hypercall_msr & ~1 | (page is not None)


def _write_hypercall(vp: "VirtualProcessor", value: int) -> bool:
    partition = vp.partition
    wanted = bool(value & 1) and partition.guest_os_id != 0
    page = Gpa(value & -PAGE_BYTES)
    if wanted and partition.gpa_space.spa_of(page) is None:
        return False
    try:
        partition.set_hypercall_page(page if wanted else None)
    except ConfigurationError:
        return False  # the machine has no frame left to split a large page with
    partition.hypercall_msr = value
    return True


def _write_reset(vp: "VirtualProcessor", value: int) -> bool:
    if value & 1:
        vp.partition.shut_down(0, "the guest reset itself through HV_X64_MSR_RESET")
    return True


POLICY: dict[int, MsrPolicy] = {
    Msr.TSC: MsrPolicy(
        lambda vp: now(vp) * clock.NS_PER_BLOCK + vp.control.tsc_offset & (1 << 64) - 1, _write_tsc
    ),
    Msr.PAT: MsrPolicy(lambda vp: vp.read("g_pat"), _write_pat),
    Msr.EFER: MsrPolicy(lambda vp: vp.read("efer"), _write_efer),
    Msr.TSC_AUX: MsrPolicy(lambda vp: vp.handle.tsc_aux, _write_tsc_aux),
    Msr.GUEST_OS_ID: MsrPolicy(
        lambda vp: vp.partition.guest_os_id, _write_guest_os_id, Privilege.ACCESS_HYPERCALL
    ),
    Msr.HYPERCALL: MsrPolicy(_read_hypercall, _write_hypercall, Privilege.ACCESS_HYPERCALL),
    Msr.VP_INDEX: MsrPolicy(lambda vp: vp.index, None, Privilege.ACCESS_VP_INDEX),
    Msr.RESET: MsrPolicy(lambda _vp: 0, _write_reset, Privilege.ACCESS_RESET),
    Msr.VP_RUNTIME: MsrPolicy(
        lambda vp: clock.reference_time(vp.counters.blocks), None, Privilege.ACCESS_VP_RUNTIME
    ),
    **msrs_apic.POLICY,
    **msrs_time.POLICY,
    **msrs_synic.POLICY,
}


@cache
def available_msrs(privileges: Privilege) -> dict[int, MsrPolicy]:
    """The MSRs of a partition with ``privileges``, by their numbers. Asked once per VP, not at each exit."""
    return {int(number): policy for number, policy in POLICY.items() if not policy.privilege & ~privileges}


def read_msr(vp: "VirtualProcessor", number: int) -> int | None:
    """The value RDMSR returns, or ``None`` for #GP."""
    policy = vp.msrs.get(number)
    return policy.read(vp) if policy is not None and policy.read is not None else None


def write_msr(vp: "VirtualProcessor", number: int, value: int) -> bool:
    """Performs WRMSR; false for #GP, and then nothing has changed."""
    policy = vp.msrs.get(number)
    return policy is not None and policy.write is not None and policy.write(vp, value)
