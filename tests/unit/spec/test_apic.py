"""Numbers of the local APIC that a guest's own header would have."""

from minihv.spec.apic import ApicBase, ApicRegister, InterruptCommand, LocalVector, TimerDivide


def test_registers_lie_where_the_manuals_put_them() -> None:
    offsets = {"ID": 0x20, "TPR": 0x80, "EOI": 0xB0, "SPURIOUS": 0xF0, "ICR": 0x300, "LVT_TIMER": 0x320}
    assert {name: int(ApicRegister[name]) for name in offsets} == offsets
    assert ApicRegister.SELF_IPI == 0x3F0 and ApicRegister.TIMER_DIVIDE == 0x3E0


def test_command_has_its_destination_in_the_upper_half() -> None:
    assert int(InterruptCommand(vector=0x41, logical=True, destination=3)) == 3 << 32 | 1 << 11 | 0x41


def test_base_and_table_entries_have_their_bits() -> None:
    assert int(ApicBase(bootstrap=True, x2apic=True, enable=True, page=0xFEE00)) == 0xFEE0_0D00
    assert int(LocalVector(vector=0x40, masked=True, periodic=True)) == 0x3_0040


def test_divisor_of_zero_bits_is_two() -> None:
    assert TimerDivide(0).divisor == 2
