"""The synthetic interrupt controller: slots, the pending flag, EOM, event flags, masks, and its registers."""

from unittest.mock import patch

import pytest
from synics import (
    AUTO_EOI,
    ENABLE,
    MASKED,
    POLLING,
    RAM,
    SIEFP,
    SIMP,
    SINT,
    VECTOR,
    Controller,
)

from minihv.hypervisor.gpa_map import EXECUTE, READ, WRITE
from minihv.hypervisor.synic import Buffers, Message
from minihv.machine.frames import HYPERVISOR
from minihv.spec.hypercalls import Status
from minihv.spec.synic import SINT_COUNT, SINT_RESET, MessageType
from minihv.terms import PAGE_BYTES, Gpa

HELLO = Message(1, 0x101, b"hello")
TIMER = Message(MessageType.TIMER_EXPIRED, 0, bytes(24))


def numbered(number: int) -> Message:
    return Message(1, 0x101, bytes([number]))


# Messages.


def test_message_lies_in_the_slot_of_its_sint_as_the_standard_has_it() -> None:
    with Controller() as it:
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS
        header = bytes.fromhex("01000000 05 00 0000 0101000000000000")
        assert it.space.read(SIMP + 256 * SINT, 21) == header + b"hello"


def test_message_raises_the_vector_of_its_sint() -> None:
    with Controller() as it:
        it.synic.post(SINT, HELLO)
        assert it.apic.requests == [(VECTOR, False)]


def test_message_may_be_empty_or_fill_its_slot() -> None:
    with Controller() as it:
        it.synic.post(SINT, Message(1, 2, b""))
        assert it.take() == Message(1, 2, b"")
        it.synic.post(SINT, Message(1, 2, b"\xff" * 240))
        assert it.take() == Message(1, 2, b"\xff" * 240)
        assert it.slot(SINT + 1).type == 0


def test_type_is_written_last() -> None:
    with Controller() as it, patch.object(it.space, "write", wraps=it.space.write) as write:
        it.synic.post(SINT, HELLO)
        assert [call.args[0] for call in write.call_args_list] == [SIMP + 256 * SINT + 4, SIMP + 256 * SINT]


def test_message_for_an_occupied_slot_waits_and_sets_the_pending_flag_there() -> None:
    with Controller() as it:
        it.synic.post(SINT, numbered(1))
        assert not it.slot().flags.pending
        it.synic.post(SINT, numbered(2))
        assert (it.slot().flags.pending, it.slot().payload[0], it.synic.waiting(SINT)) == (True, 1, 1)
        assert it.apic.requests == [(VECTOR, False)]


def test_pending_flag_keeps_the_rest_of_the_occupied_slot() -> None:
    with Controller() as it:
        it.synic.post(SINT, HELLO)
        before = it.space.read(SIMP, PAGE_BYTES)
        it.synic.post(SINT, HELLO)
        flags_at = 256 * SINT + 5
        assert it.space.read(SIMP, PAGE_BYTES) == before[:flags_at] + b"\1" + before[flags_at + 1 :]


def test_eom_delivers_what_waits_with_an_interrupt_of_its_own() -> None:
    with Controller() as it:
        it.synic.post(SINT, numbered(1))
        it.synic.post(SINT, numbered(2))
        it.empty()
        it.synic.retry()
        assert (it.slot().payload[0], it.slot().flags.pending) == (2, False)
        assert it.apic.requests == [(VECTOR, False)] * 2


def test_delivered_message_is_flagged_when_another_waits_behind_it() -> None:
    with Controller() as it:
        for number in range(3):
            it.synic.post(SINT, numbered(number))
        taken = [it.take() for _ in range(4)]
        assert taken == [numbered(0), numbered(1), numbered(2), None]


def test_eom_while_the_slot_is_occupied_changes_nothing() -> None:
    with Controller() as it:
        it.synic.post(SINT, numbered(1))
        it.synic.post(SINT, numbered(2))
        it.synic.retry()
        assert (it.slot().payload[0], len(it.apic.requests)) == (1, 1)


def test_next_message_lets_the_one_go_that_nobody_wrote_eom_for() -> None:
    with Controller() as it:
        it.synic.post(SINT, numbered(1))
        it.synic.post(SINT, numbered(2))
        it.empty()
        it.synic.post(SINT, numbered(3))
        assert (it.slot().payload[0], it.slot().flags.pending, it.synic.waiting(SINT)) == (2, True, 1)


def test_slots_of_other_sints_are_filled_while_one_is_occupied() -> None:
    with Controller() as it:
        it.synic.write_sint(3, 0x53)
        it.synic.post(SINT, numbered(1))
        it.synic.post(SINT, numbered(2))
        it.synic.post(3, numbered(3))
        assert (it.slot(3).payload[0], it.slot(3).flags.pending) == (3, False)
        assert it.apic.requests == [(VECTOR, False), (0x53, False)]


def test_eom_looks_after_every_sint() -> None:
    with Controller() as it:
        for sint in (9, 1, SINT):
            it.synic.write_sint(sint, 0x50 + sint)
            it.synic.post(sint, numbered(1))
            it.synic.post(sint, numbered(2))
            it.empty(sint)
        it.apic.requests.clear()
        it.synic.retry()
        assert [vector for vector, _ in it.apic.requests] == [0x51, 0x52, 0x59]


def test_message_to_a_masked_sint_is_placed_without_an_interrupt() -> None:
    with Controller() as it:
        it.synic.write_sint(SINT, VECTOR | MASKED)
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS
        assert it.take() == HELLO and it.apic.requests == []


def test_message_to_a_polled_sint_is_placed_without_an_interrupt() -> None:
    with Controller() as it:
        it.synic.write_sint(SINT, VECTOR | POLLING)
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS
        assert it.take() == HELLO and it.apic.requests == []


def test_interrupt_of_an_auto_eoi_sint_ends_by_itself() -> None:
    with Controller() as it:
        it.synic.write_sint(SINT, VECTOR | AUTO_EOI)
        it.synic.post(SINT, HELLO)
        it.synic.signal(SINT, 1)
        assert it.apic.requests == [(VECTOR, True)] * 2


def test_controller_that_is_disabled_queues_nothing() -> None:
    with Controller() as it:
        it.synic.write_control(0)
        buffers = Buffers(1)
        assert it.synic.post(SINT, HELLO, buffers) is Status.INVALID_SYNIC_STATE
        assert (it.synic.waiting(SINT), buffers.free, it.slot().type) == (0, 1, 0)


def test_message_waits_until_the_page_is_enabled() -> None:
    with Controller() as it:
        it.synic.write_simp(SIMP)
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS
        assert (it.slot().type, it.synic.waiting(SINT)) == (0, 1)
        it.synic.write_simp(SIMP | ENABLE)
        assert it.take() == HELLO and it.apic.requests == [(VECTOR, False)]


def test_what_waited_when_the_controller_was_disabled_comes_when_it_is_enabled() -> None:
    with Controller() as it:
        it.synic.post(SINT, numbered(1))
        it.synic.post(SINT, numbered(2))
        it.synic.write_control(0)
        it.empty()
        it.synic.retry()
        assert it.slot().type == 0
        it.synic.write_control(ENABLE)
        assert it.take() == numbered(2)


# Buffers.


def test_message_has_its_buffer_until_it_lies_in_the_slot() -> None:
    with Controller() as it:
        buffers = Buffers(2)
        statuses = [it.synic.post(SINT, numbered(number), buffers) for number in range(4)]
        assert statuses == [Status.SUCCESS] * 3 + [Status.INSUFFICIENT_BUFFERS]
        it.take()
        assert it.synic.post(SINT, numbered(4), buffers) is Status.SUCCESS
        assert [it.take() for _ in range(4)] == [numbered(1), numbered(2), numbered(4), None]
        assert buffers.free == 2


def test_timers_of_a_vp_have_four_buffers() -> None:
    with Controller() as it:
        statuses = [it.synic.post(SINT, TIMER) for _ in range(6)]
        assert statuses == [Status.SUCCESS] * 5 + [Status.INSUFFICIENT_BUFFERS]


def test_intercepts_of_a_vp_have_one_buffer() -> None:
    with Controller() as it:
        message = Message(MessageType.CPUID_INTERCEPT, 2, bytes(100))
        buffers = it.synic.intercept_buffers
        statuses = [it.synic.post(0, message, buffers) for _ in range(3)]
        assert statuses == [Status.SUCCESS] * 2 + [Status.INSUFFICIENT_BUFFERS]


def test_sender_without_buffers_is_not_counted() -> None:
    with Controller() as it:
        assert {it.synic.post(SINT, numbered(n % 250)) for n in range(1000)} == {Status.SUCCESS}
        assert it.synic.waiting(SINT) == 999


def test_vp_that_goes_gives_the_buffers_of_its_queue_back() -> None:
    with Controller() as it:
        buffers = Buffers(2)
        for _ in range(3):
            it.synic.post(SINT, HELLO, buffers)
        it.synic.post(SINT, HELLO)
        it.synic.close()
        assert (buffers.free, it.synic.waiting(SINT)) == (2, 0)
        it.empty()
        it.synic.retry()
        assert it.slot().type == 0


# Event flags.


@pytest.mark.parametrize("flag", [0, 7, 8, 2047])
def test_signal_sets_its_bit_and_raises_the_vector(flag: int) -> None:
    with Controller() as it:
        assert it.synic.signal(SINT, flag) is Status.SUCCESS
        assert it.flags() == {flag} and it.apic.requests == [(VECTOR, False)]
        assert not it.flags(SINT - 1) and not it.flags(SINT + 1)


def test_signal_of_a_flag_that_is_set_raises_nothing() -> None:
    with Controller() as it:
        for flag in (5, 5, 6, 5):
            assert it.synic.signal(SINT, flag) is Status.SUCCESS
        assert it.flags() == {5, 6} and len(it.apic.requests) == 2


def test_signal_raises_again_when_the_guest_has_cleared_the_flag() -> None:
    with Controller() as it:
        it.synic.signal(SINT, 5)
        it.clear_flags()
        it.synic.signal(SINT, 5)
        assert it.flags() == {5} and len(it.apic.requests) == 2


def test_signal_to_a_masked_sint_is_refused() -> None:
    with Controller() as it:
        it.synic.write_sint(SINT, VECTOR | MASKED)
        assert it.synic.signal(SINT, 5) is Status.INVALID_SYNIC_STATE
        assert not it.flags() and not it.apic.requests


def test_signal_to_a_polled_sint_sets_its_flag_without_an_interrupt() -> None:
    with Controller() as it:
        it.synic.write_sint(SINT, VECTOR | POLLING)
        assert it.synic.signal(SINT, 5) is Status.SUCCESS
        assert it.flags() == {5} and not it.apic.requests


@pytest.mark.parametrize("register", ["control", "siefp"])
def test_signal_needs_the_controller_and_its_page_enabled(register: str) -> None:
    with Controller() as it:
        getattr(it.synic, f"write_{register}")(SIEFP if register == "siefp" else 0)
        assert it.synic.signal(SINT, 5) is Status.INVALID_SYNIC_STATE
        assert not it.flags()


def test_signal_needs_no_message_page() -> None:
    with Controller() as it:
        it.synic.write_simp(0)
        assert it.synic.signal(SINT, 5) is Status.SUCCESS


# Registers.


def test_registers_are_reset_with_everything_off_and_all_sources_masked() -> None:
    with Controller(enabled=False) as it:
        synic = it.synic
        assert (synic.control, synic.simp, synic.siefp, synic.sints) == (0, 0, 0, [SINT_RESET] * SINT_COUNT)


@pytest.mark.parametrize("vector", [0, 1, 15])
@pytest.mark.parametrize("bits", [0, AUTO_EOI, POLLING])
def test_source_refuses_a_vector_below_16(vector: int, bits: int) -> None:
    with Controller() as it:
        assert not it.synic.write_sint(SINT, vector | bits)
        assert it.synic.sints[SINT] == VECTOR


@pytest.mark.parametrize(("vector", "legal"), [(0, True), (1, False), (15, False), (16, True), (255, True)])
def test_masked_source_may_have_vector_0_and_no_other_below_16(vector: int, legal: bool) -> None:
    with Controller() as it:
        assert it.synic.write_sint(SINT, vector | MASKED) is legal


def test_reserved_bits_are_kept_as_they_were_written() -> None:
    with Controller() as it:
        reserved = 0xABCD_EF00_0008_FF00
        assert it.synic.write_sint(SINT, reserved | VECTOR) and it.synic.sints[SINT] == reserved | VECTOR
        assert it.synic.write_control(0xFF0 | ENABLE) and it.synic.control == 0xFF1
        assert it.synic.write_simp(SIMP | 0xFFF) and it.synic.simp == SIMP | 0xFFF
        assert it.synic.write_siefp(SIEFP | 0xFFF) and it.synic.siefp == SIEFP | 0xFFF
        it.synic.post(SINT, HELLO)
        assert it.take() == HELLO and it.synic.signal(SINT, 9) is Status.SUCCESS and it.flags() == {9}


@pytest.mark.parametrize("page", [RAM, 1 << 39, (1 << 64) - PAGE_BYTES], ids=hex)
@pytest.mark.parametrize("register", ["simp", "siefp"])
def test_page_must_be_ram_when_it_is_enabled(page: int, register: str) -> None:
    with Controller() as it:
        write = getattr(it.synic, f"write_{register}")
        before = getattr(it.synic, register)
        assert not write(page | ENABLE) and getattr(it.synic, register) == before
        assert write(page) and getattr(it.synic, register) == page


@pytest.mark.parametrize("register", ["simp", "siefp"])
def test_page_is_zeroed_when_it_is_enabled_or_moved_and_not_when_it_is_written_again(register: str) -> None:
    with Controller(enabled=False) as it:
        write = getattr(it.synic, f"write_{register}")
        for page in (0x8000, 0x9000):
            it.write_over(page, 0xA5)
            assert write(page | ENABLE)
            assert it.space.read(page, PAGE_BYTES) == bytes(PAGE_BYTES)
        it.write_over(0x9000, 0xA5)
        assert write(0x9000 | ENABLE | 0x10)
        assert it.space.read(0x9000, PAGE_BYTES) == b"\xa5" * PAGE_BYTES


def test_page_is_untouched_when_it_is_disabled() -> None:
    with Controller() as it:
        it.synic.post(SINT, HELLO)
        it.synic.write_simp(SIMP)
        assert it.slot().type == 1


def test_sources_of_a_vp_that_share_a_page_with_nobody_are_independent() -> None:
    with Controller() as it:
        for sint in range(SINT_COUNT):
            it.synic.write_sint(sint, 0x40 + sint)
            it.synic.post(sint, numbered(sint))
        assert [it.slot(sint).payload[0] for sint in range(SINT_COUNT)] == list(range(SINT_COUNT))


# What becomes of the pages.


def overlay(it: Controller, page: int) -> None:
    it.space.lay_over(Gpa(page), it.memory.frames.allocate(HYPERVISOR), "hypercall page")


def test_page_that_an_overlay_hides_is_as_if_it_were_disabled_until_it_shows_again() -> None:
    with Controller() as it:
        overlay(it, SIMP)
        overlay(it, SIEFP)
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS and it.slot().type == 0
        assert it.synic.signal(SINT, 5) is Status.INVALID_SYNIC_STATE and not it.flags()
        it.space.lift(Gpa(SIMP))
        it.space.lift(Gpa(SIEFP))
        it.synic.retry()
        assert it.take() == HELLO and it.synic.signal(SINT, 5) is Status.SUCCESS


@pytest.mark.parametrize("rights", [None, 0, READ, READ | EXECUTE])
def test_page_that_the_parent_takes_away_is_as_if_it_were_disabled_until_it_comes_back(
    rights: int | None,
) -> None:
    with Controller() as it:
        gpns = SIMP >> 12, SIEFP >> 12
        frames = [it.space.spns(gpn, 1) for gpn in gpns]
        for gpn, spns in zip(gpns, frames, strict=True):
            assert spns is not None
            it.space.unmap_pages(gpn, 1) if rights is None else it.space.map_pages(gpn, spns, rights)
        assert it.synic.post(SINT, HELLO) is Status.SUCCESS and it.synic.waiting(SINT) == 1
        assert it.synic.signal(SINT, 5) is Status.INVALID_SYNIC_STATE
        for gpn, spns in zip(gpns, frames, strict=True):
            assert spns is not None
            it.space.map_pages(gpn, spns, READ | WRITE)
        it.synic.retry()
        assert it.take() == HELLO and it.synic.signal(SINT, 5) is Status.SUCCESS and it.flags() == {5}


@pytest.mark.parametrize("rights", [0, READ, READ | EXECUTE])
@pytest.mark.parametrize("register", ["simp", "siefp"])
def test_page_that_the_guest_may_not_write_is_refused(register: str, rights: int) -> None:
    with Controller(enabled=False) as it:
        spns = it.space.spns(8, 1)
        assert spns is not None
        it.space.map_pages(8, spns, rights)
        assert not getattr(it.synic, f"write_{register}")(0x8001)


def test_page_may_be_enabled_while_an_overlay_hides_it() -> None:
    with Controller(enabled=False) as it:
        overlay(it, SIMP)
        assert it.synic.write_simp(SIMP | ENABLE) and it.synic.write_control(ENABLE)
        assert not it.synic.takes_messages(SINT)


def test_what_the_controller_writes_is_in_the_dirty_log() -> None:
    with Controller() as it, it.space.dirty_log.reader() as log:
        it.synic.post(SINT, HELLO)
        assert log.take().gpns() == [SIMP >> 12]
        it.synic.post(SINT, HELLO)
        assert log.take().gpns() == [SIMP >> 12]
        it.synic.signal(SINT, 5)
        assert log.take().gpns() == [SIEFP >> 12]
        it.synic.signal(SINT, 5)
        assert log.take().gpns() == []


def test_both_pages_may_be_one() -> None:
    with Controller() as it:
        assert it.synic.write_siefp(SIMP | ENABLE)
        it.synic.post(SINT, HELLO)
        assert it.synic.signal(SINT, 0) is Status.SUCCESS
        assert it.slot().type == 1


# Who can take something.


def test_controller_takes_messages_when_they_would_raise_an_interrupt() -> None:
    with Controller() as it:
        assert it.synic.takes_messages(SINT) and not it.synic.takes_messages(SINT + 1)
        it.synic.write_simp(0)
        assert not it.synic.takes_messages(SINT)


def test_controller_takes_signals_when_it_would_set_their_flags() -> None:
    with Controller() as it:
        assert it.synic.takes_signals(SINT) and not it.synic.takes_signals(SINT + 1)
        it.synic.write_control(0)
        assert not it.synic.takes_signals(SINT)


# The trace.


def test_reader_of_the_trace_follows_a_message_and_a_signal() -> None:
    with Controller() as it:
        told: list[tuple[str, str, int]] = []
        it.synic.tell = lambda kind, name, detail: told.append((kind, name, detail["sint"]))
        for _ in range(2):
            it.synic.post(SINT, HELLO)
            it.synic.signal(SINT, 5)
        it.take()
        assert told == [
            ("message", "placed", SINT),
            ("event", "set", SINT),
            ("message", "waits", SINT),
            ("event", "was set", SINT),
            ("message", "placed", SINT),
        ]


def test_trace_has_the_numbers_of_a_message() -> None:
    with Controller() as it:
        told: list[dict[str, int]] = []
        it.synic.tell = lambda _kind, _name, detail: told.append(detail)
        it.synic.post(SINT, HELLO)
        assert told == [{"sint": SINT, "type": 1, "origin": 0x101, "payload_bytes": 5}]
