"""Exit codes have names; the numbers are compared in ``tests/layouts``."""

from minihv.spec.svm_exits import SvmExit, exit_name


def test_exit_is_called_by_its_name() -> None:
    assert exit_name(0x72) == "CPUID"
    assert exit_name(0x400) == "NPF"


def test_exit_without_a_name_is_called_by_its_number() -> None:
    assert exit_name(0x3FF) == "0x3ff"


def test_failed_entry_is_minus_one() -> None:
    assert SvmExit.INVALID == (1 << 64) - 1
