"""INS and OUTS move what they say, in both architectures: between a chip and the pages of the guest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from assembler import assemble
from parent_machines import CHILD_BYTES, booted, needs_calls

from minihv.devices.emulated.port_bus import PortBus
from minihv.guests.image import Image, Segment
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.parent.children import Child
from minihv.parent.monolith import Monolith
from minihv.parent.string_ports import registers_behind, repeats
from minihv.spec.intercepts import PortMessage
from minihv.terms import PAGE_BYTES, Gpa, Gva

pytestmark = needs_calls

CODE, DATA = 0x10_0000, 0x10_2000
NOWHERE = 0x7000_0000_0000
FINISH = "mov al, 0; out 0xF4, al; 1: hlt; jmp 1b"


class Counter:
    """A chip that gives one number after the other, and keeps what it gets."""

    def __init__(self) -> None:
        self.next, self.taken = 0x0101, list[int]()

    def read(self, _register: int, _byte_count: int, /) -> int:
        self.next += 1
        return self.next

    def write(self, _register: int, byte_count: int, value: int, /) -> None:
        self.taken.append(value)


def image(code: str) -> Image:
    content = assemble(f"{code}; {FINISH}", CODE)
    segment = Segment(Gva(CODE), Gpa(CODE), content, PAGE_BYTES, True, True, True)
    return Image("strings", Gva(CODE), (segment,), (), {}, 4)


@contextmanager
def machine(architecture: str, code: str) -> Iterator[tuple[Child, Counter, Any]]:
    """A child that is about to execute ``code``, its chip, and what runs both."""
    ports, chip = PortBus(), Counter()
    ports.connect(0x300, 1, chip)
    if architecture == "monolithic":
        with Hypervisor(machine_bytes(CHILD_BYTES)) as hypervisor:
            yield (
                Monolith(hypervisor).create_child("strings", CHILD_BYTES, image=image(code), ports=ports),
                chip,
                (hypervisor.run),
            )
        return
    with booted() as parent:
        child = parent.create_child("strings", CHILD_BYTES, image=image(code), start=False, ports=ports)
        parent.begin(child)
        yield child, chip, parent.hypervisor.run


ARCHITECTURES = pytest.mark.parametrize("architecture", ["microkernel", "monolithic"])
PORT = "mov edx, 0x300; "
DOWN = "and rbx, -4096; mov rbx, [rbx]; and rbx, -4096"
"""From a table to the first one below it."""


@ARCHITECTURES
def test_ins_fills_memory_over_the_end_of_a_page(architecture: str) -> None:
    code = f"{PORT}mov edi, {DATA + PAGE_BYTES - 3}; mov ecx, 3; cld; rep insw"
    with machine(architecture, code) as (child, _, run):
        run()
        found = child.partition.gpa_space.read(DATA + PAGE_BYTES - 4, 8)
        assert found == bytes([0, 2, 1, 3, 1, 4, 1, 0])
        assert child.partition.vps[0].read("rdi") == DATA + PAGE_BYTES + 3
        assert (child.partition.vps[0].read("rcx"), child.partition.exit_status) == (0, 0)


@ARCHITECTURES
def test_outs_brings_memory_to_the_chip_and_goes_back_if_it_is_told_to(architecture: str) -> None:
    code = f"{PORT}mov esi, {DATA}; mov ecx, 3; std; rep outsd; outsb"
    with machine(architecture, code) as (child, chip, run):
        child.partition.gpa_space.write(DATA - 16, bytes(range(1, 33)))
        run()
        assert chip.taken == [0x14131211, 0x100F0E0D, 0x0C0B0A09, 0x05]
        assert child.partition.vps[0].read("rsi") == DATA - 13


@ARCHITECTURES
@pytest.mark.parametrize(("code", "register"), [("insb", "rdi"), ("outsb", "rsi")])
def test_memory_that_the_guest_has_not_is_its_page_fault(architecture: str, code: str, register: str) -> None:
    with machine(architecture, f"{PORT}mov {register}, {NOWHERE}; {code}") as (child, chip, run):
        run()
        vp = child.partition.vps[0]
        assert child.stopped == "triple_fault" or vp.state.name == "TRIPLE_FAULT"  # it has no handler
        assert (vp.read("cr2"), vp.read(register)) == (NOWHERE, NOWHERE)
        assert (chip.next, chip.taken) == (0x0101, [])


@ARCHITECTURES
@pytest.mark.parametrize(("move", "verb"), [("insb", "wrote to"), ("outsb", "read")])
def test_page_without_ram_ends_the_guest_as_any_access_to_it(architecture: str, move: str, verb: str) -> None:
    store = f"mov qword ptr [rbx + {8 * (CHILD_BYTES >> 21)}], {CHILD_BYTES | 0x83}"
    code = f"mov rbx, cr3; {DOWN}; {DOWN}; {store}; {PORT}mov edi, {CHILD_BYTES}; mov esi, edi; {move}"
    with machine(architecture, code) as (child, chip, run):
        run()
        assert (child.stopped, chip.taken) == ("stuck", [])
        assert child.why == f"VP 0 {verb} GPA {CHILD_BYTES:#x}, where nothing answers"


def test_single_element_needs_no_count() -> None:
    message = PortMessage.build(rdi=5, rcx=7)
    assert not repeats(message) and len(registers_behind(message)) == 1
