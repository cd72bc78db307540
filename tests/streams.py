"""Random streams of machine code, and a child process that lets a guest execute them.

``python tests/streams.py FIRST_SEED COUNT KIND PAGING`` runs COUNT streams, and prints each seed before it
begins: what dies or hangs names its seed by that. ``run_streams`` starts such a child and says how it ended.
"""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

from assembler import assemble
from machines import (
    CODE,
    DATA_0,
    GDT,
    HANDLER_BYTES,
    HANDLERS,
    SPARE,
    SmallMachine,
    enter_at,
    virtual_interrupt,
)

from minihv.hypervisor.register_values import GENERAL, SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode

BLOCKS = 1000
SECONDS_PER_STREAM = 20
STREAMS_PER_MACHINE = 50
STREAM_BYTES = 192
RESUME = "add qword ptr [rsp], 1; iretq"
RESUME_BEHIND_ERROR_CODE = "add rsp, 8; add qword ptr [rsp], 1; iretq"
WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17}
PREFIXES = (0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65)
LOCKED_BIT_TESTS = [
    bytes.fromhex(text) for text in ["f00fa3c0", "f00fabc8", "f00fb3d1", "f00fbbc9", "f00fbae003"]
]
HEAVY = [
    bytes.fromhex(text)
    for text in ["d9e8ddd8", "9c", "d9c9", "d8c1", "dec1", "dde1", "660f70c11b", "0fc6c11b"]
]


def random_bytes(random: Random, count: int = STREAM_BYTES) -> bytes:
    """No shape at all."""
    return random.randbytes(count)


def one_instruction(random: Random) -> bytes:
    """Prefixes, REX or VEX, an opcode of any map, and enough operand bytes."""
    code = bytes(random.choice(PREFIXES) for _ in range(random.choice((0, 0, 0, 1, 1, 2, 4))))
    if random.random() < 0.5:
        code += bytes([0x40 | random.getrandbits(4)])
    shape = random.random()
    if shape < 0.45:
        code += bytes([random.getrandbits(8)])
    elif shape < 0.8:
        code += bytes([0x0F, random.getrandbits(8)])
    elif shape < 0.9:
        code += bytes([0x0F, random.choice((0x38, 0x3A)), random.getrandbits(8)])
    else:
        code += bytes([random.choice((0xC4, 0xC5, 0x62, 0x8F))]) + random.randbytes(3)
    return code + random.randbytes(random.choice((1, 1, 2, 5, 6)))


def shaped(random: Random, count: int = STREAM_BYTES) -> bytes:
    """Instruction after instruction."""
    code = b""
    while len(code) < count:
        code += one_instruction(random) if random.random() < 0.95 else random.choice(LOCKED_BIT_TESTS)
    return code


def repeated(random: Random) -> bytes:
    """One short sequence over and over, for a page and a bit, beginning anywhere in the page."""
    sequence = b""
    for _ in range(random.randrange(1, 4)):
        cut = random.choice((1, 2, 3, 4, 15))
        sequence += random.choice(HEAVY) if random.random() < 0.5 else one_instruction(random)[:cut]
    return sequence * (random.choice((4096, 6000)) // len(sequence))


def crossing(random: Random) -> bytes:
    """A locked bit test that begins on one page and ends on the next, behind something harmless."""
    before = b"\x90" * (0x1000 - random.randrange(1, 5))
    return before + random.choice(LOCKED_BIT_TESTS) + shaped(random)


def unpaged(random: Random) -> bytes:
    """Any of the others, for a VP without paging."""
    return random.choice((random_bytes, shaped, repeated, crossing))(random)


KINDS = {
    "bytes": random_bytes,
    "shaped": shaped,
    "repeated": repeated,
    "crossing": crossing,
    "unpaged": unpaged,
}
LOW_CODE, LOW_IDT, LOW_HANDLERS = 0x8_0000, 0x2_0000, 0x500
"""Of a VP without paging: what lies below 1 MiB, where real mode gets."""
REAL_RESUME = bytes.fromhex("55 89e5 83460201 5d cf")
"""``push bp; mov bp, sp; add word ptr [bp + 2], 1; pop bp; iret``"""
PROTECTED_RESUME = bytes.fromhex("83042401 cf")
"""``add dword ptr [esp], 1; iretd``; behind an error code ``add esp, 4`` comes first."""
CODE_32 = 0x00CF_9B00_0000_FFFF


@dataclass
class Fuzzed:
    """A machine whose guest is given one stream after the other."""

    machine: SmallMachine

    def __post_init__(self) -> None:
        self.partition = self.machine.partition
        self.ram_spa = self.partition.gpa_space.spa_of(0)
        for vector in range(256):
            at = HANDLERS + vector * HANDLER_BYTES
            self.partition.gpa_space.write(at, assemble_resume(vector))
        self.partition.gpa_space.write(CODE, b"\xf4" * (HANDLERS - CODE))
        self._put_low_handlers()
        self.image = self.partition.gpa_space.read(0, self.partition.gpa_space.ram_bytes)

    def _put_low_handlers(self) -> None:
        """The table of real mode at 0, and one of protected mode; all vectors go on behind the fault."""
        write = self.partition.gpa_space.write
        write(0, LOW_HANDLERS.to_bytes(4, "little") * 256)
        write(LOW_HANDLERS, REAL_RESUME)
        plain, with_code = LOW_HANDLERS + 0x20, LOW_HANDLERS + 0x40
        write(plain, PROTECTED_RESUME)
        write(with_code, bytes.fromhex("83c404") + PROTECTED_RESUME)
        for vector in range(256):
            target = with_code if vector in WITH_ERROR_CODE else plain
            write(LOW_IDT + 8 * vector, (target | SPARE << 16 | 0xEE00 << 32).to_bytes(8, "little"))
        write(GDT + SPARE, CODE_32.to_bytes(8, "little"))

    def run(self, seed: int, kind: str) -> VpState:
        """Executes the stream of ``seed``."""
        random = Random(seed)
        assert self.ram_spa is not None
        self.machine.hypervisor.memory.write(self.ram_spa, self.image)
        self.partition.gpa_space.write(LOW_CODE if kind == "unpaged" else CODE, KINDS[kind](random))
        self._reset(random)
        if kind == "unpaged":
            self._leave_paging(random)
        used = self.machine.run(BLOCKS)
        state = self.machine.vp.state
        stopped = state is not VpState.READY or self.partition.is_shut_down
        assert used == BLOCKS or (stopped and used < BLOCKS), f"{used} blocks were used; the VP is {state}"
        return state

    def _reset(self, random: Random) -> None:
        partition, vp = self.partition, self.machine.vp
        partition.set_hypercall_page(None)
        partition.exit_status, partition.guest_os_id = None, 0
        vp.state, vp.why = VpState.READY, ""
        vp.control.event_injection = vp.control.interrupt_shadow = vp.control.tsc_offset = 0
        ring = random.choice((0, 3))
        enter_at(vp, CODE, ring=ring)
        if random.random() < 0.25:  # compatibility mode, with operands of 32 or of 16 bits
            width = random.choice((0x4000, 0))
            vp.write_segment("cs", SegmentValue(0, 0xFFFF_FFFF, 0x18 | ring, 0x809B | ring << 5 | width))
        for name in GENERAL:
            if name != "rsp":
                near = CODE + random.getrandbits(8)
                vp.write(name, random.choice((random.getrandbits(64), random.getrandbits(21), near, 0, 3)))
        vp.write("rflags", 2 | random.choice((0, 0, 0x200, 0x400, 0x100, 0x3000, 0x4_0000, 0x8D5)))
        pending = random.random() < 0.3
        vp.control.virtual_interrupt = (
            virtual_interrupt(0x40, priority=random.getrandbits(4)) if pending else 0
        )

    def _leave_paging(self, random: Random) -> None:
        """Real mode, or protected mode with code of 32 or of 16 bits."""
        vp, protected, width = self.machine.vp, random.random() < 0.5, random.choice((0x4000, 0))
        code = SegmentValue(LOW_CODE, 0xFFFF, LOW_CODE >> 4, 0x9B)
        data = SegmentValue(0, 0xFFFF, 0, 0x93)
        if protected:
            code = SegmentValue(0, 0xFFFF_FFFF, SPARE, 0x809B | width)
            data = SegmentValue(0, 0xFFFF_FFFF, DATA_0, 0xC093)
        for name in ("ss", "ds", "es", "fs", "gs"):
            vp.write_segment(name, data)
        vp.write_segment("cs", code)
        vp.write_segment("idtr", SegmentValue(LOW_IDT if protected else 0, 0x7FF, 0, 0))
        vp.write("cr0", 0x11 if protected else 0x10)
        vp.write("efer", 0x100)
        vp.write("rip", LOW_CODE if protected and width else 0)


def assemble_resume(vector: int) -> bytes:
    """A handler that goes on one byte behind the instruction that faulted."""
    return assemble(RESUME_BEHIND_ERROR_CODE if vector in WITH_ERROR_CODE else RESUME)


def main(first_seed: int, count: int, kind: str, paging: str) -> None:
    """Runs the streams; the alarm ends what hangs."""
    machine: SmallMachine | None = None
    for number in range(count):
        if number % STREAMS_PER_MACHINE == 0:
            if machine is not None:
                machine.hypervisor.close()
            machine = SmallMachine("hlt", paging=PagingMode.named(paging))
            fuzzed = Fuzzed(machine)
        print(first_seed + number, end=" ", flush=True)
        signal.alarm(SECONDS_PER_STREAM)
        print(fuzzed.run(first_seed + number, kind).name, flush=True)
        signal.alarm(0)


@dataclass(frozen=True)
class Ended:
    """How a child ended: which streams ran, and what was wrong, if something was."""

    states: tuple[str, ...]
    complaint: str


def run_streams(first_seed: int, count: int, kind: str, paging: str = "slat") -> Ended:
    """Runs the streams in a child, so that its death is a finding and not the end of the tests."""
    command = [sys.executable, str(Path(__file__)), str(first_seed), str(count), kind, paging]
    child = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    lines = [line.split() for line in child.stdout.splitlines()]
    states = tuple(line[1] for line in lines if len(line) == 2)
    if child.returncode == 0 and len(states) == count:
        return Ended(states, "")
    seed = first_seed + len(states)
    name = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
    return Ended(
        states, f"stream {seed} of kind {kind!r} ended the process by {name}: {child.stderr[-2000:]}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
