"""Descriptors put their scattered bits together."""

from minihv.spec.x86_segments import (
    GateDescriptor,
    SegmentDescriptor,
    Selector,
    SystemDescriptor,
    SystemType,
    TableRegister,
    TaskStateSegment,
)


def test_selector_of_the_fifth_entry_for_ring_3() -> None:
    assert int(Selector(index=5, rpl=3)) == 0x2B


def test_flat_code_segment_reaches_four_gigabytes() -> None:
    code = SegmentDescriptor(0x00AF_9A00_0000_FFFF)
    assert (code.base, code.limit, code.long, code.dpl) == (0, 0xFFFF_FFFF, True, 0)


def test_base_of_a_data_segment_is_put_together() -> None:
    data = SegmentDescriptor(0x1200_9234_5678_0010)
    assert (data.base, data.limit) == (0x1234_5678, 0x10)


def test_base_of_a_task_state_segment_has_64_bits() -> None:
    descriptor = SystemDescriptor(0xFFFF_8000_1200_8934_5678_0067)
    assert (descriptor.base, descriptor.limit) == (0xFFFF_8000_1234_5678, 0x67)
    assert descriptor.type == SystemType.AVAILABLE_TSS


def test_granular_system_segment_counts_pages() -> None:
    assert SystemDescriptor(limit_low=1, granularity=True).limit == 0x1FFF


def test_gate_leads_to_its_handler() -> None:
    gate = GateDescriptor.to(0xFFFF_8000_1234_5678, 0x08, type=SystemType.INTERRUPT_GATE, ist=2)
    assert (gate.offset, gate.selector, gate.ist, gate.present) == (0xFFFF_8000_1234_5678, 8, 2, True)


def test_task_state_segment_holds_the_stack_of_ring_0() -> None:
    memory = bytearray(0x68)
    TaskStateSegment(memory).rsp0 = 0x1122_3344_5566_7788
    assert memory[4:12] == (0x1122_3344_5566_7788).to_bytes(8, "little")


def test_table_register_is_ten_bytes() -> None:
    assert bytes(TableRegister.build(limit=0x2F, base=0x2000)) == b"\x2f\0\0\x20" + bytes(6)
