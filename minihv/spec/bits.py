"""How layouts are written: bits of a register, bytes of a structure, each at the place the manual quotes.

Stands for: the tables in the processor manuals.
Spec: bit ranges as the manuals write them, high bit first; byte offsets from the start of the structure.
Next: ``minihv.spec.x86_paging``
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Self, TypeVar, overload

from minihv.errors import LayoutError

Buffer = bytearray | memoryview | Any
"""Something writable that speaks the buffer protocol; ``memoryview`` takes it."""


class Field:
    """Bits ``high:low`` of a register. Read from a class it is itself, from a value it is a number."""

    def __init__(self, high: int, low: int) -> None:
        if not high >= low >= 0:
            raise LayoutError(f"A field is written high bit first, not {high}:{low}: swap the two.")
        self.name = ""
        self.high, self.low = high, low
        self.width = high - low + 1
        self.mask = (1 << self.width) - 1 << low

    def __set_name__(self, owner: type, name: str) -> None:
        """The name the class body gave."""
        self.name = name

    def __str__(self) -> str:
        """The field with its place, for messages."""
        return f"{self.name} ({self.high}:{self.low})"

    @overload
    def __get__(self, value: None, owner: type) -> Self: ...
    @overload
    def __get__(self, value: "Bits", owner: type) -> int: ...
    def __get__(self, value: "Bits | None", owner: type) -> Self | int:
        """The field of ``value``, moved down to bit 0."""
        return self if value is None else (int(value) & self.mask) >> self.low

    def place(self, number: int) -> int:
        """``number`` moved to the place of this field.

        Raises:
            LayoutError: it has more bits than the field.
        """
        if not 0 <= number < 1 << self.width:
            raise LayoutError(f"Field {self} holds 0x0 to {(1 << self.width) - 1:#x}, not {number:#x}.")
        return number << self.low


class Flag(Field):
    """One bit of a register. Read from a value it is a truth."""

    def __init__(self, bit: int) -> None:
        super().__init__(bit, bit)

    def __str__(self) -> str:
        """The flag with its place, for messages."""
        return f"{self.name} ({self.low})"

    @overload
    def __get__(self, value: None, owner: type) -> Self: ...
    @overload
    def __get__(self, value: "Bits", owner: type) -> bool: ...
    def __get__(self, value: "Bits | None", owner: type) -> Self | bool:
        """Whether the bit is set in ``value``."""
        return self if value is None else bool(int(value) & self.mask)


def field(high: int, low: int) -> Field:
    """Bits ``high:low``, as a manual writes them."""
    return Field(high, low)


def flag(bit: int) -> Flag:
    """Bit ``bit``."""
    return Flag(bit)


class Bits:
    """A register or a table entry: a number whose bits have names. What has no name is reserved.

    ``Entry(0x63)`` keeps every bit of the number; ``Entry(present=True, frame=5)`` leaves the rest zero;
    ``Entry(0x63, dirty=False)`` is the first with a change. ``strict=True`` refuses set reserved bits.
    """

    width: ClassVar[int] = 64
    _fields: ClassVar[dict[str, Field]] = {}
    __slots__ = ("_value",)

    def __init_subclass__(cls, *, width: int = 64) -> None:
        """Checks the places of all fields when the class is made."""
        cls.width = width
        cls._fields = {name: part for name, part in vars(cls).items() if isinstance(part, Field)}
        taken = 0
        for part in cls._fields.values():
            if part.high >= width:
                raise LayoutError(f"{cls.__name__} has bits {width - 1}:0, and {part} lies outside.")
            if part.mask & taken:
                other = next(o for o in cls._fields.values() if o is not part and o.mask & part.mask)
                raise LayoutError(f"Fields of {cls.__name__} must not overlap: {other} and {part}.")
            taken |= part.mask

    def __init__(self, value: int = 0, /, *, strict: bool = False, **parts: int) -> None:
        value = int(value)
        if not 0 <= value < 1 << self.width:
            raise LayoutError(
                f"{type(self).__name__} is {self.width} bits wide, and {value:#x} does not fit."
            )
        for name, number in parts.items():
            part = self._fields.get(name)
            if part is None:
                raise LayoutError(
                    f"{type(self).__name__} has no field {name!r}; it has {', '.join(self._fields)}."
                )
            value = value & ~part.mask | part.place(int(number))
        if strict and value & self.reserved_mask():
            found = value & self.reserved_mask()
            raise LayoutError(f"Reserved bits of {type(self).__name__} must be 0, and {found:#x} are set.")
        self._value = value

    @classmethod
    def fields(cls) -> Mapping[str, Field]:
        """The fields by name, in the order of the class body."""
        return dict(cls._fields)

    @classmethod
    def reserved_mask(cls) -> int:
        """The bits that have no name."""
        named = 0
        for part in cls._fields.values():
            named |= part.mask
        return ~named & (1 << cls.width) - 1

    @property
    def reserved_is_zero(self) -> bool:
        """Whether no bit without a name is set."""
        return not self._value & self.reserved_mask()

    def replace(self, **parts: int) -> Self:
        """The same number with other ``parts``."""
        return type(self)(self._value, strict=False, **parts)

    def __int__(self) -> int:
        """The whole number, reserved bits included."""
        return self._value

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        """Two values are equal when type and every bit are."""
        return isinstance(other, Bits) and type(other) is type(self) and other._value == self._value

    def __hash__(self) -> int:
        """Equal values hash alike."""
        return hash((type(self), self._value))

    def __repr__(self) -> str:
        """The fields that are not zero, as one would write them."""
        found = [(name, part.__get__(self, type(self))) for name, part in self._fields.items()]
        parts = [f"{name}={v if isinstance(v, bool) else hex(v)}" for name, v in found if v]
        reserved = self._value & self.reserved_mask()
        return f"{type(self).__name__}({', '.join(([hex(reserved)] if reserved else []) + parts)})"


B = TypeVar("B", bound=Bits)
L = TypeVar("L", bound="Layout")


class Member:
    """``byte_count`` bytes of a structure from ``offset``: a number, little-endian."""

    def __init__(self, offset: int, byte_count: int) -> None:
        self.name = ""
        self.offset, self.byte_count = offset, byte_count

    def __set_name__(self, owner: type, name: str) -> None:
        """The name the class body gave."""
        self.name = name

    def __str__(self) -> str:
        """The member with its place, for messages."""
        return f"{self.name} ({self.offset:#x}, {self.byte_count} bytes)"

    @overload
    def __get__(self, value: None, owner: type) -> Self: ...
    @overload
    def __get__(self, value: "Layout", owner: type) -> int: ...
    def __get__(self, value: "Layout | None", owner: type) -> Self | int:
        """The number in the structure."""
        return self if value is None else int.from_bytes(self._bytes(value), "little")

    def __set__(self, value: "Layout", number: int) -> None:
        """Writes the number into the structure.

        Raises:
            LayoutError: it does not fit.
        """
        number = int(number)
        if not 0 <= number < 1 << 8 * self.byte_count:
            raise LayoutError(
                f"Member {self} holds 0x0 to {(1 << 8 * self.byte_count) - 1:#x}, not {number:#x}."
            )
        self._bytes(value)[:] = number.to_bytes(self.byte_count, "little")

    def _bytes(self, value: "Layout") -> memoryview:
        return value.memory[self.offset : self.offset + self.byte_count]


class BigEndianMember(Member):
    """The same in formats that put the highest byte first."""

    @overload
    def __get__(self, value: None, owner: type) -> Self: ...
    @overload
    def __get__(self, value: "Layout", owner: type) -> int: ...
    def __get__(self, value: "Layout | None", owner: type) -> Self | int:
        """The number in the structure."""
        return self if value is None else int.from_bytes(self._bytes(value), "big")

    def __set__(self, value: "Layout", number: int) -> None:
        """Writes the number into the structure, or refuses it as ``Member`` does."""
        super().__set__(value, number)
        self._bytes(value)[:] = bytes(self._bytes(value))[::-1]


class RawMember(Member):
    """Bytes that are no number."""

    @overload  # type: ignore[override]
    def __get__(self, value: None, owner: type) -> Self: ...
    @overload
    def __get__(self, value: "Layout", owner: type) -> bytes: ...
    def __get__(self, value: "Layout | None", owner: type) -> Self | bytes:
        """A copy of the bytes."""
        return self if value is None else bytes(self._bytes(value))

    def __set__(self, value: "Layout", data: bytes) -> None:  # type: ignore[override]
        """Writes all of the bytes.

        Raises:
            LayoutError: there are more or fewer of them.
        """
        if len(data) != self.byte_count:
            raise LayoutError(f"Member {self} takes {self.byte_count} bytes, not {len(data)}.")
        self._bytes(value)[:] = data


class BitsMember(Member):
    """A number whose bits have names."""

    def __init__(self, offset: int, kind: type[Bits]) -> None:
        super().__init__(offset, kind.width // 8)
        self.kind = kind

    def __get__(self, value: "Layout | None", owner: type) -> Any:
        """The number as the class of its bits."""
        return self if value is None else self.kind(int.from_bytes(self._bytes(value), "little"))


class PartMember(Member):
    """A structure inside a structure."""

    def __init__(self, offset: int, kind: "type[Layout]") -> None:
        super().__init__(offset, kind.byte_count)
        self.kind = kind

    def __get__(self, value: "Layout | None", owner: type) -> Any:
        """The inner structure, over the same bytes."""
        return self if value is None else self.kind(self._bytes(value))

    def __set__(self, value: "Layout", inner: "Layout") -> None:  # type: ignore[override]
        """Copies an inner structure from elsewhere."""
        self._bytes(value)[:] = inner.memory


def u8(offset: int) -> Member:
    """One byte at ``offset``."""
    return Member(offset, 1)


def u16(offset: int) -> Member:
    """Two bytes at ``offset``."""
    return Member(offset, 2)


def u32(offset: int) -> Member:
    """Four bytes at ``offset``."""
    return Member(offset, 4)


def u64(offset: int) -> Member:
    """Eight bytes at ``offset``."""
    return Member(offset, 8)


def be16(offset: int) -> BigEndianMember:
    """Two bytes at ``offset``, the higher one first."""
    return BigEndianMember(offset, 2)


def be32(offset: int) -> BigEndianMember:
    """Four bytes at ``offset``, the highest one first."""
    return BigEndianMember(offset, 4)


def be64(offset: int) -> BigEndianMember:
    """Eight bytes at ``offset``, the highest one first."""
    return BigEndianMember(offset, 8)


def raw(offset: int, byte_count: int) -> RawMember:
    """``byte_count`` bytes at ``offset`` that are no number."""
    return RawMember(offset, byte_count)


def bits(offset: int, kind: type[B]) -> B:
    """A register of type ``kind`` at ``offset``. It is set with one of them, or with a number."""
    return BitsMember(offset, kind)  # type: ignore[return-value]


def part(offset: int, kind: type[L]) -> L:
    """A structure of type ``kind`` at ``offset``."""
    return PartMember(offset, kind)  # type: ignore[return-value]


class Layout:
    """A structure in memory, seen through a buffer: reading a member reads the bytes, setting it writes them.

    Gaps between members are reserved; ``Layout.build(…)`` leaves them zero.
    """

    byte_count: ClassVar[int] = 0
    _members: ClassVar[dict[str, Member]] = {}
    __slots__ = ("memory",)

    def __init_subclass__(cls, *, byte_count: int) -> None:
        """Checks the places of all members when the class is made."""
        cls.byte_count = byte_count
        cls._members = {name: part for name, part in vars(cls).items() if isinstance(part, Member)}
        placed = sorted(cls._members.values(), key=lambda member: member.offset)
        for member in placed:
            if not 0 <= member.offset <= byte_count - member.byte_count:
                raise LayoutError(f"{cls.__name__} has {byte_count:#x} bytes, and {member} lies outside.")
        for first, second in pairwise(placed):
            if first.offset + first.byte_count > second.offset:
                raise LayoutError(f"Members of {cls.__name__} must not overlap: {first} and {second}.")

    def __init__(self, buffer: Buffer, offset: int = 0) -> None:
        whole = memoryview(buffer).cast("B")
        if not 0 <= offset <= len(whole) - self.byte_count:
            raise LayoutError(
                f"{type(self).__name__} needs {self.byte_count:#x} bytes from offset {offset:#x}, "
                f"and the buffer has {len(whole):#x}."
            )
        self.memory = whole[offset : offset + self.byte_count]

    @classmethod
    def build(cls, **members: Any) -> Self:
        """A new structure, zero but for ``members``."""
        made = cls(bytearray(cls.byte_count))
        for name, value in members.items():
            if name not in cls._members:
                raise LayoutError(f"{cls.__name__} has no member {name!r}; it has {', '.join(cls._members)}.")
            setattr(made, name, value)
        return made

    @classmethod
    def members(cls) -> Mapping[str, Member]:
        """The members by name, in the order of the class body."""
        return dict(cls._members)

    def __bytes__(self) -> bytes:
        """A copy of the whole structure."""
        return bytes(self.memory)

    def __eq__(self, other: object) -> bool:
        """Two structures are equal when type and every byte are."""
        return isinstance(other, Layout) and type(other) is type(self) and other.memory == self.memory

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The members that are not zero, as one would write them."""
        found = [(name, member.__get__(self, type(self))) for name, member in self._members.items()]
        return (
            f"{type(self).__name__}({', '.join(f'{name}={shown(v)}' for name, v in found if not is_zero(v))})"
        )


def is_zero(value: Any) -> bool:
    """Whether a member holds nothing but zeros."""
    if isinstance(value, int | Bits):
        return int(value) == 0
    return not any(bytes(value))


def shown(value: Any) -> str:
    """A member as its structure shows it."""
    return hex(value) if isinstance(value, int) else repr(value)
