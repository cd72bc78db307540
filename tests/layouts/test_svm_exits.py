"""Exit codes: Python, the compiler, and AMD APM vol. 2, "SVM Intercept Exit Codes" (Appendix C), agree."""

import pytest
from layout_tables import compiler_numbers, python_numbers

from minihv.spec.svm_exits import SvmExit
from minihv.spec.vmcb import Intercept1, Intercept2, Intercept3

# Appendix C, table "SVM Intercept Codes", where the names of the manual begin with VMEXIT_.
RUNS = {
    0x00: [f"CR{n}_READ" for n in range(16)],
    0x10: [f"CR{n}_WRITE" for n in range(16)],
    0x20: [f"DR{n}_READ" for n in range(16)],
    0x30: [f"DR{n}_WRITE" for n in range(16)],
    0x40: [f"EXCP{n}" for n in range(32)],
    0x60: ["INTR", "NMI", "SMI", "INIT", "VINTR", "CR0_SEL_WRITE"],
    0x66: ["IDTR_READ", "GDTR_READ", "LDTR_READ", "TR_READ"],
    0x6A: ["IDTR_WRITE", "GDTR_WRITE", "LDTR_WRITE", "TR_WRITE"],
    0x6E: ["RDTSC", "RDPMC", "PUSHF", "POPF", "CPUID", "RSM", "IRET", "SWINT", "INVD", "PAUSE", "HLT"],
    0x79: ["INVLPG", "INVLPGA", "IOIO", "MSR", "TASK_SWITCH", "FERR_FREEZE", "SHUTDOWN"],
    0x80: ["VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "RDTSCP", "ICEBP", "WBINVD"],
    0x8A: ["MONITOR", "MWAIT", "MWAIT_CONDITIONAL", "XSETBV", "RDPRU", "EFER_WRITE_TRAP"],
    0x90: [f"CR{n}_WRITE_TRAP" for n in range(16)],
    0xA0: ["INVLPGB", "INVLPGB_ILLEGAL", "INVPCID", "MCOMMIT", "TLBSYNC", "BUSLOCK", "IDLE_HLT"],
    0x400: ["NPF", "AVIC_INCOMPLETE_IPI", "AVIC_NOACCEL", "VMGEXIT"],
}
NEGATIVE = {"INVALID": -1, "BUSY": -2, "IDLE_REQUIRED": -3, "INVALID_PMC": -4}
STANDARD = {name: first + i for first, names in RUNS.items() for i, name in enumerate(names)}
STANDARD |= {name: number & (1 << 64) - 1 for name, number in NEGATIVE.items()}


def test_exit_codes_are_those_of_the_manual() -> None:
    assert python_numbers(SvmExit) == STANDARD
    assert compiler_numbers(SvmExit) == STANDARD


@pytest.mark.parametrize(("word", "first"), [(Intercept1, 0x60), (Intercept2, 0x80), (Intercept3, 0xA0)])
def test_each_intercept_bit_asks_for_the_exit_of_its_name(word: type[Intercept1], first: int) -> None:
    asked = {name: 1 << code - first for name, code in STANDARD.items() if first <= code < first + 32}
    assert python_numbers(word) == {name: asked[name] for name in word.__members__}
