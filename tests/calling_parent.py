"""A parent that makes the calls of a child's life, for tests: VP 0 of a small machine."""

from collections.abc import Sequence
from typing import Self

from assembler import assemble
from calls_made import INPUT, OUTPUT, words
from machines import CODE, HANDLERS, MEMORY, SmallMachine, enter_at, system_structures

from minihv.hypervisor.hypercalls import CALLS, perform
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.privileges import PARENT
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.processor import Core, PagingMode
from minihv.spec.hypercalls import CallCode, HypercallInput, RegisterName, Status
from minihv.spec.intercepts import InterceptHeader
from minihv.spec.synic import SLOT_BYTES, MessageSlot
from minihv.terms import MIB, PAGE_BYTES

SIMP, INTERCEPT_VECTOR = 0x2_0000, 0x40
FREE_FROM = 0x200
"""The first page of the parent that nobody uses: it has 2 MiB of its own, and the rest for children."""
CHILD_PAGES = MEMORY // PAGE_BYTES
REPS_AT_ONCE = 509


class Parent:
    """A small machine whose partition is a parent, with enough memory for children. A context manager."""

    def __init__(
        self,
        mebibytes: int = 8,
        *,
        paging: PagingMode = PagingMode.SLAT,
        core: Core | None = None,
        hears: bool = True,
    ) -> None:
        self.machine = SmallMachine(
            partitions=2, paging=paging, core=core, memory=mebibytes * MIB, privileges=PARENT
        )
        self.hypervisor, self.partition = self.machine.hypervisor, self.machine.partition
        self.space = self.partition.gpa_space
        self._next_page = FREE_FROM
        if hears:
            self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.__exit__()

    def listen(self) -> None:
        """Its SynIC takes intercept messages."""
        synic = self.machine.vp.synic
        assert synic.write_simp(SIMP | 1) and synic.write_sint(0, INTERCEPT_VECTOR) and synic.write_control(1)

    def call(
        self,
        code: CallCode,
        header: bytes = b"",
        elements: Sequence[bytes] = (),
        *,
        count: int = 0,
        start: int = 0,
        caller: VirtualProcessor | None = None,
    ) -> tuple[Status, int]:
        """VP 0, or ``caller``, makes a call; the status and the reps that are done."""
        vp = caller or self.machine.vp
        reps = count or len(elements)
        block = header.ljust(CALLS[code].header_bytes, b"\0") + b"".join(elements)
        if block:
            vp.partition.gpa_space.write(INPUT, block)
        vp.write("rdx", INPUT)
        vp.write("r8", OUTPUT)
        value = HypercallInput(call_code=code, rep_count=reps, rep_start=start)
        return perform(self.hypervisor, vp, int(value))

    def status(self, code: CallCode, *numbers: int) -> Status:
        """The status of a simple call whose header is ``numbers``."""
        return self.call(code, words(*numbers))[0]

    def output(self, byte_count: int = 8, at: int = 0) -> int:
        """A number of the output block."""
        return int.from_bytes(self.space.read(OUTPUT + at, byte_count), "little")

    def pages(self, count: int) -> list[int]:
        """So many page numbers that nobody has had yet."""
        first, self._next_page = self._next_page, self._next_page + count
        return list(range(first, first + count))

    def create(self) -> int:
        """A child, uninitialized."""
        assert self.status(CallCode.CREATE_PARTITION, 0, 0) is Status.SUCCESS
        return self.output()

    def deposit(self, child: int, pages: Sequence[int]) -> tuple[Status, int]:
        """Gives ``pages`` to the memory pool of ``child``."""
        return self.call(CallCode.DEPOSIT_MEMORY, words(child), [words(page) for page in pages])

    def active(self, frames: int = 10) -> int:
        """A child that is initialized, with ``frames`` in its memory pool."""
        child = self.create()
        assert self.deposit(child, self.pages(frames)) == (Status.SUCCESS, frames)
        assert self.status(CallCode.INITIALIZE_PARTITION, child) is Status.SUCCESS
        return child

    def map(self, child: int, gpn: int, pages: Sequence[int], rights: int = 7) -> tuple[Status, int]:
        """The pages of ``child`` from ``gpn`` on are ``pages``."""
        done = 0
        for at in range(0, len(pages), REPS_AT_ONCE):
            elements = [words(page) for page in pages[at : at + REPS_AT_ONCE]]
            status, count = self.call(CallCode.MAP_GPA_PAGES, words(child, gpn + at, rights), elements)
            done += count
            if status is not Status.SUCCESS:
                return status, done
        return Status.SUCCESS, done

    def registers(self, child: int, vp: int, *values: tuple[int, int | bytes]) -> tuple[Status, int]:
        """Sets registers, each a name with a number or 16 bytes."""
        elements = [
            name.to_bytes(16, "little")
            + (value if isinstance(value, bytes) else (value & (1 << 64) - 1).to_bytes(16, "little"))
            for name, value in values
        ]
        return self.call(CallCode.SET_VP_REGISTERS, words(child, vp), elements)

    def register(self, child: int, vp: int, name: int) -> int:
        """The number in a register."""
        element = [name.to_bytes(4, "little")]
        assert self.call(CallCode.GET_VP_REGISTERS, words(child, vp), element) == (Status.SUCCESS, 1)
        return self.output(16)

    def start(self, child: int, vp: int = 0) -> Status:
        """Clears the explicit suspend register."""
        return self.registers(child, vp, (RegisterName.EXPLICIT_SUSPEND, 0))[0]

    def boot(self, code: str, *, ram_pages: int = CHILD_PAGES, frames: int = 16) -> "Child":
        """A child of 2 MiB of the parent's pages with one VP, about to execute ``code``, still suspended."""
        child = self.active(frames)
        pages = self.pages(-self._next_page % CHILD_PAGES + ram_pages)[-ram_pages:]
        for gpa, numbers in system_structures().items():
            self.space.write(pages[0] * PAGE_BYTES + gpa, words(*numbers))
        base = pages[0] * PAGE_BYTES
        for vector in range(256):
            self.space.write(base + HANDLERS + 0x40 * vector, b"\xf4")
        self.space.write(base + CODE, assemble(code, CODE))
        assert self.map(child, 0, pages) == (Status.SUCCESS, ram_pages)
        assert self.status(CallCode.CREATE_VP, child, 0) is Status.SUCCESS
        made = Child(self, child, base)
        enter_at(made.vp, CODE)
        return made

    def message(self) -> MessageSlot:
        """A copy of the slot of SINT 0, which is empty afterwards."""
        slot = MessageSlot(bytearray(self.space.read(SIMP, SLOT_BYTES)))
        self.space.write(SIMP, bytes(4))
        if slot.flags.pending:
            self.machine.vp.synic.retry()
        return slot

    def resume(self, child: int, vp: int, *values: tuple[int, int | bytes]) -> None:
        """Sets registers, and clears the intercept suspend register."""
        expected = Status.SUCCESS, len(values) + 1
        assert self.registers(child, vp, *values, (RegisterName.INTERCEPT_SUSPEND, 0)) == expected

    def run(self) -> None:
        """Lets the machine run. The parent itself halts."""
        self.hypervisor.run(100_000)


class Child:
    """A child that ``Parent.boot`` made, whose GPA 0 is the parent's ``base``."""

    def __init__(self, parent: Parent, partition_id: int, base: int) -> None:
        self.id, self.base, self._parent = partition_id, base, parent

    @property
    def partition(self) -> Partition:
        """Ring -1's object."""
        return self._parent.hypervisor.partitions[self.id]

    @property
    def vp(self) -> VirtualProcessor:
        """VP 0."""
        return self.partition.vps[0]

    def run(self) -> None:
        """Starts it, and lets it run."""
        assert self._parent.start(self.id) is Status.SUCCESS
        self._parent.run()


def header_of(slot: MessageSlot) -> InterceptHeader:
    """The header of an intercept message."""
    return InterceptHeader(bytearray(slot.payload))
