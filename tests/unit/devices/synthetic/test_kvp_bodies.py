"""Pairs as they are written, and the ways in which a guest may write them wrongly."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihv.devices.synthetic.kvp_bodies import (
    delete_body,
    enumerate_body,
    exchange_body,
    key_text,
    read_enumerate,
    read_exchange,
    read_header,
    read_record,
    read_text,
    record,
    value_text,
)
from minihv.devices.synthetic.service import Refusal
from minihv.errors import ConfigurationError
from minihv.spec.integration import (
    KvpDelete,
    KvpEnumerate,
    KvpExchange,
    KvpOperation,
    KvpPool,
    KvpRecord,
    KvpType,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)


@given(TEXT, TEXT)
def test_pair_is_read_as_it_was_written(key: str, value: str) -> None:
    assert read_record(record(key_text(key), value_text(value))) == (key, value)


@pytest.mark.parametrize(("kind", "byte_count"), [(KvpType.U32, 4), (KvpType.U64, 8)])
def test_number_is_read(kind: KvpType, byte_count: int) -> None:
    pair = record(key_text("n"))
    pair.type, pair.value_bytes = kind, byte_count
    pair.value = (0x1234).to_bytes(2048, "little")
    assert read_record(pair) == ("n", 0x1234)


def broken(**members: int) -> KvpRecord:
    pair = record(key_text("key"), value_text("value"))
    for name, value in members.items():
        setattr(pair, name, value)
    return pair


@pytest.mark.parametrize(
    "pair",
    [
        broken(type=7),
        broken(type=KvpType.U32),
        broken(key_bytes=514),
        broken(key_bytes=3),
        broken(value_bytes=0xFFFFFFFF),
        broken(value_bytes=2049),
    ],
    ids=str,
)
def test_record_that_cannot_be_is_refused(pair: KvpRecord) -> None:
    assert read_record(pair) is Refusal.BODY


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    assert read_text(b"\x00\xd8", 2) is Refusal.BODY


def test_text_ends_at_its_first_zero() -> None:
    assert read_text("ab\0cd".encode("utf-16-le"), 10) == "ab"


def test_bodies_say_what_is_asked() -> None:
    key, value = key_text("k"), value_text("v")
    got = KvpExchange(bytearray(exchange_body(KvpOperation.SET, KvpPool.EXTERNAL, key, value)))
    assert (got.header.operation, got.header.pool, read_record(got.record)) == (1, 0, ("k", "v"))
    listed = KvpEnumerate(bytearray(enumerate_body(KvpPool.AUTO, 5)))
    assert (listed.header.operation, listed.header.pool, listed.index) == (3, 2, 5)
    gone = KvpDelete(bytearray(delete_body(KvpPool.GUEST, key)))
    assert (gone.header.operation, gone.header.pool, gone.key_bytes, gone.key[:4]) == (2, 1, 4, b"k\0\0\0")


@pytest.mark.parametrize("read", [read_header, read_exchange, read_enumerate])
def test_body_without_its_members_is_short(read: Callable[[bytes], object]) -> None:
    assert read(b"") is Refusal.SHORT


@given(st.binary(max_size=64), st.integers(0, 2600))
def test_no_bytes_raise(begin: bytes, length: int) -> None:
    body = begin.ljust(length, b"\xff")
    assert read_header(body) is not None
    assert read_exchange(body) is not None
    assert read_enumerate(body) is not None


def test_long_key_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        key_text("k" * 256)
    assert str(caught.value) == (
        "The key of a pair has at most 255 UTF-16 units, and this one has 256: shorten it."
    )


def test_half_of_a_surrogate_pair_is_not_sent() -> None:
    with pytest.raises(ConfigurationError) as caught:
        value_text("\ud800")
    assert str(caught.value) == (
        "The value of a pair is text, and '\\ud800' has half of a surrogate pair: leave that out."
    )
