"""The VMCB is read and written in place; its layout is compared in ``tests/layouts``."""

from minihv.spec.vmcb import Event, EventType, IoExitInfo, SegmentAttributes, Vmcb


def test_vmcb_is_written_in_place() -> None:
    memory = bytearray(0x1000)
    vmcb = Vmcb(memory)
    vmcb.control.exit_code = 0x72
    vmcb.save.cs.base = 0x1000
    assert memory[0x70] == 0x72
    assert memory[0x418:0x41A] == b"\x00\x10"


def test_page_fault_is_injected_with_its_error_code() -> None:
    event = Event(vector=14, type=EventType.EXCEPTION, error_code_valid=True, error_code=6, valid=True)
    assert int(event) == 0x6_8000_0B0E


def test_injected_event_is_read_back_as_bits() -> None:
    vmcb = Vmcb.build()
    vmcb.control.event_injection = Event(vector=0x20, valid=True)
    assert vmcb.control.event_injection.vector == 0x20


def test_byte_out_to_the_debug_console() -> None:
    info = IoExitInfo(0x00E9_0210)
    assert (info.port, info.is_in, info.is_8_bits, info.address_64_bits) == (0xE9, False, True, True)


def test_code_segment_of_long_mode_has_these_attributes() -> None:
    attributes = SegmentAttributes(type=0xB, code_or_data=True, present=True, long=True, granularity=True)
    assert int(attributes) == 0xA9B
