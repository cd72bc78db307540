"""Hypercall values; numbers and layouts are compared in ``tests/layouts``."""

from minihv.spec.hypercalls import (
    CallCode,
    HypercallInput,
    HypercallResult,
    MapFlags,
    PartitionProperty,
    PendingInterruption,
    RegisterName,
    RegisterSegmentAttributes,
    Status,
)


def test_signal_of_linux_is_fast() -> None:
    value = HypercallInput(0x1_005D)
    assert (value.call_code, value.fast, value.rep_count) == (CallCode.SIGNAL_EVENT, True, 0)


def test_repeated_call_says_where_to_start() -> None:
    value = HypercallInput(call_code=CallCode.GET_VP_REGISTERS, rep_count=10, rep_start=5)
    assert int(value) == 0x0005_000A_0000_0050


def test_reserved_bits_of_an_input_are_seen() -> None:
    assert not HypercallInput(1 << 27).reserved_is_zero
    assert not HypercallInput(1 << 60).reserved_is_zero


def test_result_counts_what_was_done() -> None:
    assert int(HypercallResult(status=Status.SUCCESS, reps_completed=10)) == 10 << 32


def test_registers_follow_the_order_of_encodings() -> None:
    assert RegisterName.R15 - RegisterName.RAX == 15


def test_segment_attributes_have_a_gap() -> None:
    assert int(RegisterSegmentAttributes(type=0xB, code_or_data=True, present=True, long=True)) == 0x209B


def test_pending_page_fault_delivers_its_error_code() -> None:
    pending = PendingInterruption(pending=True, type=3, deliver_error_code=True, vector=14, error_code=2)
    assert int(pending) == 0x2_000E_0017


def test_map_flags_and_properties_have_numbers() -> None:
    assert MapFlags.READ | MapFlags.WRITE | MapFlags.EXECUTE == 7
    assert PartitionProperty.CPU_WEIGHT == 0x20003
