"""Interrupts of a child's board reach its VPs, whoever carries them, one external interrupt at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from parent_machines import CHILD_BYTES, assembled, booted, needs_calls

from minihv.devices.emulated.io_apic import Delivery
from minihv.hypervisor.apic import LocalApic
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.parent.children import Child
from minihv.parent.monolith import Monolith
from minihv.parent.wires import control_of
from minihv.spec.hypercalls import CallCode
from minihv.spec.io_apic import BASE_GPA, DeliveryMode

pytestmark = needs_calls
LEVEL_ENTRY, ANY_LINE = 1 << 15, 5
DEAF = assembled("1: jmp 1b")
RUN_BLOCKS = 300_000
"""More than a millisecond."""


class Machine:
    """A child that never runs; ``settle`` has everything done that is on its way to it."""

    def __init__(self, child: Child, settle: Callable[[], None]) -> None:
        self.child, self.board, self.ports = child, child.wires.board, child.plan.ports
        self._settle = settle

    @property
    def apic(self) -> LocalApic:
        return self.child.partition.vps[0].apic

    def settle(self) -> None:
        self.child.wires.after()
        self._settle()

    def write(self, port: int, *values: int) -> None:
        """OUT, a byte each, as a worker does it."""
        for value in values:
            self.child.wires.before()
            self.ports.write(port, 1, value)
            self.child.wires.after()

    def use_pic(self) -> None:
        for port, vector, wiring in ((0x20, 0x30, 4), (0xA0, 0x38, 2)):
            self.write(port, 0x11)
            self.write(port + 1, vector, wiring, 1, 0)

    def route(self, pin: int, entry: int) -> None:
        self.board.memory.store(BASE_GPA, 4, 0x10 + 2 * pin)
        self.board.memory.store(BASE_GPA + 0x10, 4, entry)

    def raise_lines(self, *lines: int) -> None:
        for line in lines:
            self.ports.lines[line].set(True)
        self.settle()

    def take(self) -> int:
        """The interrupt that waits is delivered; its vector."""
        vector = self.apic.requested.bit_length() - 1
        self.apic.withdraw(vector)
        return vector

    def end(self, line: int) -> None:
        self.write(0xA0 if line > 7 else 0x20, 0x60 | line % 8)

    def start_timer(self) -> None:
        self.write(0x43, 0x34)
        self.write(0x40, 0xA9, 0x04)  # 1000 Hz


@contextmanager
def microkernel() -> Iterator[Machine]:
    with booted(CHILD_BYTES) as parent:
        yield Machine(parent.create_child("silent", CHILD_BYTES, start=False), parent.settle)


@contextmanager
def monolith() -> Iterator[Machine]:
    with Hypervisor(machine_bytes(CHILD_BYTES, 1)) as hypervisor:
        yield Machine(Monolith(hypervisor).create_child("deaf", CHILD_BYTES, image=DEAF), lambda: None)


@pytest.fixture(params=[microkernel, monolith], ids=lambda how: how.__name__)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with request.param() as made:
        yield made


def test_line_becomes_an_interrupt_with_the_vector_that_the_guest_chose(machine: Machine) -> None:
    machine.raise_lines(ANY_LINE)
    assert machine.apic.requested == 0  # the controllers were told nothing
    machine.use_pic()
    machine.ports.lines[ANY_LINE].set(False)
    machine.raise_lines(ANY_LINE)
    assert machine.apic.requested == 1 << 0x35


def test_next_interrupt_waits_until_the_last_was_taken(machine: Machine) -> None:
    machine.use_pic()
    machine.raise_lines(5)
    machine.raise_lines(1, 12)
    assert machine.apic.requested == 1 << 0x35 and machine.board.pic.interrupts
    assert machine.take() == 0x35
    machine.settle()
    assert machine.apic.requested == 1 << 0x31  # line 1 may interrupt the service of line 5
    assert machine.take() == 0x31
    machine.end(1)
    machine.settle()
    assert machine.apic.requested == 1 << 0x3C  # as may those of the second controller, by line 2
    assert machine.take() == 0x3C
    machine.settle()
    assert machine.apic.requested == 0 and not machine.board.pic.interrupts


def test_external_interrupt_needs_no_end_at_the_local_apic(machine: Machine) -> None:
    machine.use_pic()
    machine.raise_lines(5)
    assert machine.apic._auto_eoi == 1 << 0x35


def test_pin_by_level_is_sent_again_when_the_vp_has_ended_it(machine: Machine) -> None:
    machine.route(ANY_LINE, LEVEL_ENTRY | 0x51)
    vp = machine.child.partition.vps[0]
    machine.raise_lines(ANY_LINE)
    for _ in range(2):
        assert machine.apic.requested == 1 << 0x51 and machine.apic.level == 1 << 0x51
        machine.take()
        vp._after_eoi(0x51)
        machine.settle()
    machine.ports.lines[ANY_LINE].set(False)
    machine.take()
    vp._after_eoi(0x51)
    machine.settle()
    assert machine.apic.requested == 0 and not machine.board.io_apic.entries[ANY_LINE].remote_irr


def test_end_of_an_interrupt_by_edge_is_told_to_nobody(machine: Machine) -> None:
    machine.route(ANY_LINE, 0x51)
    machine.raise_lines(ANY_LINE)
    before = machine.child.partition.vps[0].synic.eoi_buffers.free
    machine.take()
    machine.child.partition.vps[0]._after_eoi(0x51)
    assert machine.child.partition.vps[0].synic.eoi_buffers.free == before
    machine.settle()
    assert machine.apic.requested == 0


def test_timer_that_no_controller_lets_through_wakes_nobody(machine: Machine) -> None:
    machine.start_timer()
    machine.settle()
    machine.child.partition._hypervisor.run(RUN_BLOCKS)
    assert machine.apic.requested == 0 and machine.child.wires._due is None


def test_timer_that_a_controller_lets_through_has_the_machine_wake(machine: Machine) -> None:
    machine.use_pic()
    machine.start_timer()
    machine.settle()
    assert machine.take() == 0x30  # its output rose when it was set up
    machine.end(0)
    machine.child.partition._hypervisor.run(RUN_BLOCKS)
    assert machine.apic.requested == 1 << 0x30


def test_guest_that_pulls_the_reset_line_ends(machine: Machine) -> None:
    machine.write(0x64, 0xFE)
    partition = machine.child.partition
    assert (partition.exit_status, partition.why) == (1, "it reset its machine by the keyboard controller")


def test_serial_port_writes_to_the_console(machine: Machine) -> None:
    machine.write(0x3F8, *b"minihv")
    assert machine.child.partition.console == b"minihv"


def test_hypercalls_carry_interrupts_of_a_child_with_a_parent() -> None:
    with microkernel() as machine:
        calls = machine.child.partition._hypervisor.partitions[1].vps[0].counters.hypercalls
        machine.use_pic()
        machine.raise_lines(5)
        machine.take()
        machine.raise_lines(1)
        assert calls[CallCode.ASSERT_VIRTUAL_INTERRUPT] == 2
        assert calls[CallCode.CLEAR_VIRTUAL_INTERRUPT] == 1


def test_deleted_child_waits_for_no_time() -> None:
    with booted(CHILD_BYTES) as parent:
        child = parent.create_child("silent", CHILD_BYTES, start=False)
        child.wires._set_alarm(10**9)
        assert child.wires in parent.timer._due
        parent.delete_child(child)
        assert child.wires not in parent.timer._due


@pytest.mark.parametrize(
    ("delivery", "control"),
    [
        (Delivery(DeliveryMode.FIXED, 0x51, 0, logical=False, level=False), 0),
        (Delivery(DeliveryMode.LOWEST_PRIORITY, 0x51, 0, logical=True, level=True), 0x3_0000_0001),
        (Delivery(DeliveryMode.NMI, 0, 0, logical=False, level=False), 4),
    ],
)
def test_message_of_the_io_apic_is_a_control_word(delivery: Delivery, control: int) -> None:
    assert control_of(delivery) == control


TABLE_IN_A_CHIP = (
    "mov rbx, cr3; mov rbx, [rbx]; and rbx, -4096; mov eax, 0xFEC00003; mov [rbx + 8], rax;"
    "mov ecx, 0x40000000; mov eax, [rcx]; mov al, 0; out 0xF4, al; 1: hlt; jmp 1b"
)


def test_chip_is_no_page_table() -> None:
    """The instruction for which the processor walks there is not meant for the chip."""
    with booted(CHILD_BYTES) as parent:
        child = parent.create_child("lost", CHILD_BYTES, image=assembled(TABLE_IN_A_CHIP))
        parent.settle()
        assert child.stopped == "stuck" and child.partition.exit_status is None
        assert child.why == ("VP 0 used the chip at GPA 0xfec00000 by no instruction that its worker knows")
