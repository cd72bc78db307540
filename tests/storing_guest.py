"""A guest that stores in every way the processor has, as a list of records in its memory tells it.

Its 2 MiB are mapped GVA = GPA; ``WINDOW`` is a second view of some of its pages, by small pages of its own
tables that lead anywhere, or nowhere, or may not be written. Whatever faults is left out, and the guest goes
on. After the last record it begins again.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from machines import IST, RSP0, STACK, TABLES, SmallMachine

from minihv.terms import PAGE_BYTES

RECORDS = 0x10_4000
WINDOW, WINDOW_TABLE, WINDOW_PAGES = 0x20_0000, 0x8000, 16
POOL = range(0x20, 0x30)
"""The pages that it aims at."""
ALWAYS = {TABLES >> 12, (TABLES >> 12) + 1, (TABLES >> 12) + 2, WINDOW_TABLE >> 12, IST - 1 >> 12} | {
    RSP0 - 1 >> 12,
    STACK - 1 >> 12,
}
"""Frames of its page tables, which are written when they are walked, and of its stacks."""
LEAVE = "mov [rsp], r14; mov [rsp + 24], r13; iretq"
LEAVE_BEHIND_ERROR_CODE = f"add rsp, 8; {LEAVE}"
HANDLERS = {6: LEAVE, 13: LEAVE_BEHIND_ERROR_CODE, 14: LEAVE_BEHIND_ERROR_CODE, 0x80: LEAVE}
STORES = {
    "word": "mov [rdi], rax",
    "byte": "mov [rdi], al",
    "string": "cld; rep stosb",
    "string backwards": "std; rep stosb; cld",
    "add": "lock add [rdi], rax",
    "compare and exchange": "lock cmpxchg [rdi], rcx",
    "push": "mov rsp, rdi; push rax",
    "vector": "movq xmm0, rax; movups [rdi], xmm0",
    "interrupt": "mov rsp, rdi; int 0x80",
    "exception": "mov rsp, rdi; ud2",
    "the same again": "mov rax, [rdi]; mov [rdi], rax",
    "read": "mov rax, [rdi]",
    "code": "mov byte ptr [rdi], 0xC3; call rdi",
}
LONGEST = 80
"""A record touches so many bytes before and behind its address at most."""


def program() -> str:
    """The guest itself: R13 is its stack, R14 where it goes on, R15 its first record."""
    jumps = "".join(f"cmp edx, {number}; je store{number}\n" for number in range(1, len(STORES) + 1))
    bodies = "".join(
        f"store{number}: {body}; jmp next\n" for number, body in enumerate(STORES.values(), start=1)
    )
    return f"""
        mov r13, rsp
        lea r14, [rip + next]
        mov r15d, {RECORDS}
        mov rsi, r15
    next:
        mov rsp, r13
        mov rdx, [rsi]
        mov rdi, [rsi + 8]
        mov rax, [rsi + 16]
        mov rcx, [rsi + 24]
        add rsi, 32
        {jumps}
        mov rsi, r15
        jmp next
        {bodies}
    """


@dataclass(frozen=True)
class Record:
    """One store: how, where, with what, how often."""

    kind: int
    gva: int
    value: int
    count: int

    @property
    def is_code(self) -> bool:
        """Whether what was stored is executed."""
        return list(STORES)[self.kind - 1] == "code"

    def words(self) -> bytes:
        """As the guest reads it."""
        numbers = self.kind, self.gva, self.value, self.count
        return b"".join(number.to_bytes(8, "little") for number in numbers)


class StoringGuest:
    """A machine with such a guest, whose records and window ``random`` chose. Use it as a context manager."""

    def __init__(self, random: Random, **parts: Any) -> None:
        ring = random.choice((0, 3))
        self.machine = SmallMachine(program(), handlers=HANDLERS, ring=ring, **parts)
        for vector in (6, 0x80):
            self.machine.gate(vector, dpl=3)
        for vector in (13, 14):
            self.machine.gate(vector, ist=1)
        self.window = [random.choice(POOL) for _ in range(WINDOW_PAGES)]
        for index, gpn in enumerate(self.window):
            flags = random.choice((7, 7, 7, 7, 5, 4))  # writable, read-only, absent
            self.machine.write(WINDOW_TABLE + 8 * index, gpn << 12 | flags)
        self.machine.write(TABLES + 0x2008, WINDOW_TABLE | 7)
        self.records = [self._record(random) for _ in range(random.randrange(1, 12))]
        words = b"".join(record.words() for record in self.records)
        self.machine.partition.gpa_space.write(RECORDS, words + bytes(32))

    def __enter__(self) -> "StoringGuest":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.hypervisor.close()

    def aims(self) -> set[int]:
        """Every page that it may write to, or try to."""
        touched = {
            gva // PAGE_BYTES
            for record in self.records
            for gva in (record.gva - LONGEST, record.gva, record.gva + LONGEST)
        }
        first = WINDOW // PAGE_BYTES
        behind = {self.window[gvn - first] for gvn in touched if 0 <= gvn - first < WINDOW_PAGES}
        return ALWAYS | behind | {gvn for gvn in touched if gvn < first}

    def _record(self, random: Random) -> Record:
        pages = random.choice((POOL, range(WINDOW >> 12, (WINDOW >> 12) + WINDOW_PAGES)))
        offset = random.choice((random.randrange(PAGE_BYTES), random.randrange(PAGE_BYTES - 16, PAGE_BYTES)))
        value = random.choice((0, random.getrandbits(64)))
        kind = random.randrange(1, len(STORES) + 1)
        return Record(kind, random.choice(pages) * PAGE_BYTES + offset, value, random.randrange(LONGEST))
