"""The hypercalls of the management stack have the layouts that ring -1 reads."""

import struct

import pytest

from minihv.parent import calls
from minihv.parent.orders import Hypercall
from minihv.spec.hypercalls import CallCode, HypercallInput, RegisterName
from minihv.spec.synic import ConnectPortInput, CreatePortInput, PortInput, PortType, PostMessageInput


def words(call: Hypercall) -> tuple[int, ...]:
    return struct.unpack(f"<{len(call.block) // 8}Q", call.block)


def test_input_value_has_the_code_the_count_and_whether_it_is_fast() -> None:
    assert HypercallInput(calls.deposit(2, [5, 6]).input_value) == HypercallInput(
        call_code=CallCode.DEPOSIT_MEMORY, rep_count=2
    )
    assert calls.signal_event(2, 7).input_value == 0x1005D


def test_lists_of_pages_follow_their_headers() -> None:
    assert words(calls.deposit(2, [5, 6])) == (2, 5, 6)
    assert words(calls.map_pages(2, 0x10, [5, 6])) == (2, 0x10, 7, 5, 6)


def test_a_full_batch_fills_its_page() -> None:
    pages = list(range(calls.MOST_PAGES + 1))
    first, second = calls.batches(pages)
    assert 4096 - 8 < len(calls.map_pages(2, 0, first).block) <= 4096 and list(second) == [pages[-1]]


def test_withdrawn_pages_come_back_in_the_output() -> None:
    call = calls.withdraw(2, 10)
    assert (words(call), call.rep_count, call.output_bytes) == ((2, 0), 10, 80)


@pytest.mark.parametrize(
    "code", [CallCode.INITIALIZE_PARTITION, CallCode.FINALIZE_PARTITION, CallCode.DELETE_PARTITION]
)
def test_calls_about_a_whole_partition_are_fast(code: CallCode) -> None:
    call = calls.of_partition(code, 9)
    assert call.fast and words(call) == (9,)


def test_registers_have_elements_of_32_bytes() -> None:
    call = calls.set_registers(2, 1, [(RegisterName.RAX, b"\x11" * 16), (RegisterName.RIP, b"\x22")])
    assert call.rep_count == 2 and len(call.block) == 16 + 64
    assert call.block[:16] == struct.pack("<QII", 2, 1, 0)
    assert call.block[16:48] == struct.pack("<I12x", RegisterName.RAX) + b"\x11" * 16
    assert call.block[48:] == struct.pack("<I12x", RegisterName.RIP) + b"\x22".ljust(16, b"\0")


def test_message_port_is_read_as_one() -> None:
    read = CreatePortInput(bytearray(calls.message_port(2, 0x101, 1, sint=2, vp=1).block))
    assert (read.port_partition, read.port_id, read.connection_partition) == (2, 0x101, 1)
    assert (read.info.type, read.info.sint, read.info.vp) == (PortType.MESSAGE, 2, 1)


def test_event_port_is_read_as_one() -> None:
    read = CreatePortInput(bytearray(calls.event_port(1, 7, 2, sint=3, base_flag=9, count=1).block))
    assert (read.info.type, read.info.sint, read.info.base_flag, read.info.flag_count) == (
        PortType.EVENT,
        3,
        9,
        1,
    )


def test_connection_is_read_as_one() -> None:
    read = ConnectPortInput(bytearray(calls.connect_port(2, 4, 1, 7, calls.MESSAGE_PORT).block))
    assert (read.connection_partition, read.connection_id, read.port_partition, read.port_id) == (2, 4, 1, 7)
    assert read.info.type == PortType.MESSAGE


@pytest.mark.parametrize("call", [calls.delete_port(2, 7), calls.disconnect_port(2, 7)])
def test_ends_of_ports_and_connections_are_fast(call: Hypercall) -> None:
    read = PortInput(bytearray(call.block))
    assert call.fast and (read.partition, read.id) == (2, 7)


def test_message_is_read_as_one() -> None:
    read = PostMessageInput(bytearray(calls.post_message(0x200, b"hello").block))
    assert (read.connection_id, read.type, read.payload_bytes, read.payload[:6]) == (0x200, 1, 5, b"hello\0")


def test_other_calls_have_their_words() -> None:
    assert words(calls.create_partition()) == (0, 0) and calls.create_partition().output_bytes == 8
    assert words(calls.create_vp(2, 1)) == (2, 1, 0, 0)
    assert words(calls.install_intercept(2, 3, 0, 0x60)) == (2, 3, 0x60)
