"""The channels that only minihv has: their identifiers can be read, and their structures have no gaps."""

from uuid import UUID

import pytest
from layout_tables import python_offsets, quoted

from minihv.spec.own_channels import (
    CONSOLE_INSTANCE,
    CONSOLE_INTERFACE,
    ECHO_INSTANCE,
    ECHO_INTERFACE,
    EchoHeader,
    EchoOrder,
    EchoTotals,
)


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        (ECHO_INTERFACE, b"minihvEcho\0\0\0\0\0\x01"),
        (ECHO_INSTANCE, b"minihvEchoinstan"),
        (CONSOLE_INTERFACE, b"minihvConsole\0\0\x01"),
        (CONSOLE_INSTANCE, b"minihvConsoleins"),
    ],
)
def test_identifier_spells_its_name(identifier: UUID, text: bytes) -> None:
    assert identifier.bytes == text


def test_header_is_operation_and_length() -> None:
    assert python_offsets(EchoHeader) == quoted("operation 0x0+4\nlength 0x4+4")


def test_order_is_count_and_bytes() -> None:
    assert python_offsets(EchoOrder) == quoted("packet_count 0x0+8\nbody_bytes 0x8+4")


def test_totals_are_four_numbers() -> None:
    words = "header 0x0+8\nsunk_packets 0x8+8\nsunk_bytes 0x10+8\nsent_packets 0x18+8\nsent_bytes 0x20+8"
    assert python_offsets(EchoTotals) == quoted(words)
