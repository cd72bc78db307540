"""Control registers are sets of flags."""

from minihv.spec.x86_registers import Cr0, Cr4, Dr6, Dr7, Efer, Rflags


def test_long_mode_with_paging_needs_these() -> None:
    assert Cr0.PE | Cr0.PG == 0x8000_0001
    assert Cr4.PAE == 0x20
    assert Efer.LME | Efer.LMA | Efer.NXE == 0xD00


def test_io_privilege_level_is_two_bits() -> None:
    assert Rflags.IOPL == 0x3000


def test_bit_1_of_rflags_is_always_set() -> None:
    assert Rflags.ALWAYS_1 | Rflags.IF == 0x202


def test_single_step_is_bit_14_of_dr6() -> None:
    assert Dr6.BS == 0x4000


def test_bit_10_of_dr7_is_always_set() -> None:
    assert Dr7.ALWAYS_1 == 0x400
