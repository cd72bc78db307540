"""The machine code that is measured. Every side executes exactly these bytes.

Each listing is entered with the number of its iterations in RCX and ends in HLT. It needs no stack, no
image and no libraries, so that it runs wherever 64-bit code does. Addresses are identity-mapped.
"""

from dataclasses import dataclass
from itertools import chain

CODE = 0x10_0000
"""Where a listing lies."""
DATA = 0x20_0000
"""What loads and stores touch begins here."""

Line = tuple[str, str]
"""Machine code in hexadecimal, and the assembly it comes from. A test disassembles the one and compares."""


@dataclass(frozen=True, slots=True)
class Listing:
    """``before`` is executed once, ``body`` and the jump back RCX times."""

    before: tuple[Line, ...]
    body: tuple[Line, ...]
    counter: Line = ("48ffc9", "dec rcx")

    @property
    def lines(self) -> tuple[Line, ...]:
        """All instructions but the jump back and HLT, in order."""
        return (*self.before, *self.body, self.counter)

    @property
    def instructions(self) -> int:
        """How many instructions one iteration executes."""
        return len(self.body) + 2

    @property
    def code(self) -> bytes:
        """The bytes, with the jump back and HLT."""
        before = bytes.fromhex("".join(text for text, _ in self.before))
        body = bytes.fromhex("".join(text for text, _ in (*self.body, self.counter)))
        back = b"\x0f\x85" + (-len(body) - 6).to_bytes(4, "little", signed=True)  # jnz rel32
        return before + body + back + b"\xf4"


QUARTER_ROUND: tuple[Line, ...] = (
    ("01d8", "add eax, ebx"),
    ("31c2", "xor edx, eax"),
    ("c1c210", "rol edx, 0x10"),
    ("01d6", "add esi, edx"),
    ("31f3", "xor ebx, esi"),
    ("c1c30c", "rol ebx, 0xc"),
    ("01d8", "add eax, ebx"),
    ("31c2", "xor edx, eax"),
    ("c1c208", "rol edx, 8"),
    ("01d6", "add esi, edx"),
    ("31f3", "xor ebx, esi"),
    ("c1c307", "rol ebx, 7"),
)
"""Of the ChaCha stream cipher: additions, exclusive ors and rotations of four 32-bit words."""

ALU = Listing(before=(), body=QUARTER_ROUND * 20)
"""What the twenty rounds of ChaCha20 do to one column: 242 instructions without memory or a jump."""


def _add_to_word(number: int) -> tuple[Line, ...]:
    at = 8 * number
    place = f" + {at:#x}" if at > 9 else f" + {at}" if at else ""
    return (
        (f"488b46{at:02x}", f"mov rax, qword ptr [rsi{place}]"),
        ("4801d0", "add rax, rdx"),
        (f"488947{at:02x}", f"mov qword ptr [rdi{place}], rax"),
    )


MEMORY = Listing(
    before=(("be00002000", "mov esi, 0x200000"), ("bf00002900", "mov edi, 0x290000")),
    body=(
        *chain.from_iterable(_add_to_word(number) for number in range(15)),
        ("4881c678000000", "add rsi, 0x78"),
        ("4881c778000000", "add rdi, 0x78"),
        ("81e6ff3f2000", "and esi, 0x203fff"),
        ("81e7ff3f2900", "and edi, 0x293fff"),
    ),
)
"""Fifteen words of one array, plus a constant, to another; both are 16 KiB and used over and over."""
STORED_TO = 0x29_0000
"""Where the other one begins."""

TIGHT = Listing(before=(), body=(("48ffc0", "inc rax"),))
"""The shortest loop: a block of three instructions, the worst case for whoever counts blocks."""

STRIDE = Listing(
    before=(("bb00000002", "mov ebx, 0x2000000"),),
    body=(
        ("488b03", "mov rax, qword ptr [rbx]"),
        ("4881c340100000", "add rbx, 0x1040"),
        ("81e3ffffff01", "and ebx, 0x1ffffff"),
        ("81cb00000002", "or ebx, 0x2000000"),
    ),
)
"""One load from each of 8192 pages, over and over and each time from another line: more pages than the
engine's TLB holds."""

STRIDE_PAGES = 8192
STRIDE_FROM = 0x200_0000
