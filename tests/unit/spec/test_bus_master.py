"""Bus-master IDE, against Intel's description of its registers."""

from minihv.spec.bus_master import Command, RegionEntry, Register, Status


def test_registers_and_bits_are_where_intel_has_them() -> None:
    assert (Register.COMMAND, Register.STATUS, Register.TABLE) == (0, 2, 4)
    assert (Command.START, Command.TO_MEMORY) == (0x01, 0x08)
    bits = (Status.ACTIVE, Status.ERROR, Status.INTERRUPT, Status.DEVICE_0, Status.DEVICE_1)
    assert bits == (0x01, 0x02, 0x04, 0x20, 0x40)


def test_entry_has_base_count_and_end() -> None:
    entry = RegionEntry(half_base=0x1234_5678 >> 1, half_count=0x200 >> 1, end_of_table=True)
    assert int(entry).to_bytes(8, "little") == bytes.fromhex("78563412 0002 0080")
