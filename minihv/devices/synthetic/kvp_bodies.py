"""The bodies of the key-value exchange: UTF-16 text, numbers, and the checks of what a guest sends.

Stands for: the part of the key-value exchange service that reads and writes records.
Spec: ``minihv.spec.integration``, ``KvpRecord`` and what holds one.
Simplified: none known.
Next: ``minihv.devices.synthetic.kvp``
"""

from minihv.devices.synthetic.service import Refusal
from minihv.errors import ConfigurationError
from minihv.spec.integration import (
    KVP_KEY_BYTES,
    KVP_VALUE_BYTES,
    KvpDelete,
    KvpEnumerate,
    KvpExchange,
    KvpHeader,
    KvpOperation,
    KvpPool,
    KvpRecord,
    KvpType,
)

Value = str | int
NUMBER_BYTES: dict[int, int] = {KvpType.U32: 4, KvpType.U64: 8}
UTF16_UNIT = 2


def text_bytes(text: str, what: str, most_bytes: int) -> bytes:
    """``text`` in UTF-16 with a zero at the end.

    Raises:
        ConfigurationError: it is too long, or cannot be written so.
    """
    try:
        written = (text + "\0").encode("utf-16-le")
    except UnicodeEncodeError as reason:
        raise ConfigurationError(
            f"The {what} of a pair is text, and {text!r} has half of a surrogate pair: leave that out."
        ) from reason
    if len(written) > most_bytes:
        raise ConfigurationError(
            f"The {what} of a pair has at most {most_bytes // UTF16_UNIT - 1} UTF-16 units, and this one has "
            f"{len(written) // UTF16_UNIT - 1}: shorten it."
        )
    return written


def key_text(key: str) -> bytes:
    """A key as it is sent.

    Raises:
        ConfigurationError: it is too long, or cannot be written in UTF-16.
    """
    return text_bytes(key, "key", KVP_KEY_BYTES)


def value_text(value: str) -> bytes:
    """A value as it is sent; the host writes text only.

    Raises:
        ConfigurationError: it is too long, or cannot be written in UTF-16.
    """
    return text_bytes(value, "value", KVP_VALUE_BYTES)


def record(key: bytes = b"", value: bytes = b"") -> KvpRecord:
    """A pair of texts, both as ``text_bytes`` makes them."""
    return KvpRecord.build(
        type=KvpType.STRING,
        key_bytes=len(key),
        value_bytes=len(value),
        key=key.ljust(KVP_KEY_BYTES, b"\0"),
        value=value.ljust(KVP_VALUE_BYTES, b"\0"),
    )


def enumerate_body(pool: KvpPool, index: int) -> bytes:
    """Asks for the pair at ``index``."""
    header = KvpHeader.build(operation=KvpOperation.ENUMERATE, pool=pool)
    return bytes(KvpEnumerate.build(header=header, index=index, record=record()))


def exchange_body(operation: KvpOperation, pool: KvpPool, key: bytes, value: bytes) -> bytes:
    """Asks for the value of a key, or sets it."""
    header = KvpHeader.build(operation=operation, pool=pool)
    return bytes(KvpExchange.build(header=header, record=record(key, value)))


def delete_body(pool: KvpPool, key: bytes) -> bytes:
    """Asks that a key be forgotten."""
    header = KvpHeader.build(operation=KvpOperation.DELETE, pool=pool)
    return bytes(KvpDelete.build(header=header, key_bytes=len(key), key=key.ljust(KVP_KEY_BYTES, b"\0")))


def read_header(body: bytes) -> tuple[int, int] | Refusal:
    """Operation and pool of an answer."""
    if len(body) < KvpHeader.byte_count:
        return Refusal.SHORT
    header = KvpHeader(bytearray(body[: KvpHeader.byte_count]))
    return header.operation, header.pool


def read_exchange(body: bytes) -> tuple[str, Value] | Refusal:
    """The pair in the answer to a get."""
    if len(body) < KvpExchange.byte_count:
        return Refusal.SHORT
    return read_record(KvpExchange(bytearray(body)).record)


def read_enumerate(body: bytes) -> tuple[int, tuple[str, Value] | Refusal] | Refusal:
    """Index and pair in the answer to an enumerate."""
    if len(body) < KvpEnumerate.byte_count:
        return Refusal.SHORT
    answer = KvpEnumerate(bytearray(body))
    return answer.index, read_record(answer.record)


def read_record(pair: KvpRecord) -> tuple[str, Value] | Refusal:
    """Key and value, if the record can be one."""
    key = read_text(pair.key, pair.key_bytes)
    value = read_value(pair)
    if isinstance(key, Refusal) or isinstance(value, Refusal):
        return Refusal.BODY
    return key, value


def read_value(pair: KvpRecord) -> Value | Refusal:
    """The value of a record, by its type."""
    if pair.type == KvpType.STRING:
        return read_text(pair.value, pair.value_bytes)
    number_bytes = NUMBER_BYTES.get(pair.type)
    if number_bytes is None or pair.value_bytes != number_bytes:
        return Refusal.BODY
    return int.from_bytes(pair.value[:number_bytes], "little")


def read_text(written: bytes, byte_count: int) -> str | Refusal:
    """Text up to its first zero; the guest says how many bytes it has."""
    if byte_count > len(written) or byte_count % UTF16_UNIT:
        return Refusal.BODY
    try:
        return written[:byte_count].decode("utf-16-le").split("\0", 1)[0]
    except UnicodeDecodeError:
        return Refusal.BODY
