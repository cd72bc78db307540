"""The synthetic interrupt controller's memory; numbers and layouts are compared in ``tests/layouts``."""

from minihv.spec.msrs import SintRegister
from minihv.spec.synic import (
    BUFFERS_OF_PORT,
    EVENT_FLAG_COUNT,
    FROM_HYPERVISOR,
    MOST_PAYLOAD_BYTES,
    SINT_COUNT,
    SINT_RESET,
    SLOT_BYTES,
    MessageFlags,
    MessageSlot,
    MessageType,
)
from minihv.terms import PAGE_BYTES


def test_sixteen_slots_fill_a_page() -> None:
    assert SINT_COUNT * SLOT_BYTES == PAGE_BYTES
    assert MessageSlot.members()["payload"].offset + MOST_PAYLOAD_BYTES == SLOT_BYTES


def test_event_flags_of_sixteen_sources_fill_a_page() -> None:
    assert SINT_COUNT * EVENT_FLAG_COUNT == 8 * PAGE_BYTES


def test_source_is_masked_until_it_is_written() -> None:
    assert int(SintRegister(masked=True)) == SINT_RESET


def test_every_message_of_the_hypervisor_has_bit_31_in_its_type() -> None:
    assert all(kind & FROM_HYPERVISOR for kind in MessageType if kind is not MessageType.NONE)


def test_port_has_sixteen_buffers() -> None:
    assert BUFFERS_OF_PORT == 16


def test_message_as_it_lies_in_its_slot() -> None:
    slot = MessageSlot.build(type=1, payload_bytes=3, flags=MessageFlags(pending=True), origin=0x101)
    assert bytes(slot)[:16] == bytes.fromhex("01000000 03 01 0000 0101000000000000")
