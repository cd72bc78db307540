"""Two partitions that speak: guests post and signal by hypercalls, and take what came in handlers."""

from collections import Counter
from typing import Any

import pytest
from assembler import assemble
from machines import SmallMachine

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.ports import Port
from minihv.hypervisor.privileges import PARENT
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.svm_exits import SvmExit
from minihv.spec.synic import (
    ConnectionInfo,
    ConnectPortInput,
    CreatePortInput,
    PortInfo,
    PortType,
    PostMessageInput,
)
from minihv.terms import Gpa

MESSAGE, EVENT = PortType.MESSAGE, PortType.EVENT
PARENT_VECTOR, CHILD_VECTOR = 0x52, 0x53
AUTO_EOI = 0x2_0000
MODES = [(paging, core) for paging in PagingMode for core in Core]
RECEIVED = 0x3_0000
ENABLE = """
    mov ecx, 0x40000083; mov eax, 0x20001; xor edx, edx; wrmsr
    mov ecx, 0x40000082; mov eax, 0x21001; wrmsr
    mov ecx, 0x40000092; mov eax, {source}; wrmsr
    mov ecx, 0x40000080; mov eax, 1; wrmsr;
"""
"""SIMP, SIEFP, SINT2, SCONTROL."""
WAIT = "sti; wait: hlt; jmp wait"
MAKE_PORT = """
    mov ecx, 0x57; mov edx, 0x9000; call 0x103000; mov r14, rax
    mov ecx, 0x59; mov edx, 0xA000; call 0x103000; mov r15, rax;
"""
"""Makes the port and the connection whose descriptions lie at 0x9000 and 0xA000."""
TAKE_MESSAGE = """
    push rax; mov rax, [0x20210]; mov [r12 * 8 + 0x30000], rax; inc r12
    mov al, [0x20205]; mov dword ptr [0x20200], 0; {pause}
    test al, 1; jz 1f; mov ecx, 0x40000084; wrmsr; 1: {eoi} pop rax; iretq
"""
"""Copies eight bytes of the message, empties the slot, and writes EOM if it was asked to."""
EOI = "mov ecx, 0x40000070; xor eax, eax; xor edx, edx; wrmsr;"
POST = """
    again: mov ecx, 0x5C; mov edx, 0x8000; call 0x103000
    cmp ax, 0x13; jne sent; inc r13; mov eax, 500; spin: dec eax; jnz spin; jmp again
    sent: inc qword ptr [0x8010]; dec rbx; jnz again; hlt
"""
"""Posts RBX numbers; where the port is full it spins and posts again."""
SIGNAL = "mov ecx, 0x1005D; mov edx, 1; xor r8d, r8d; call 0x103000;"
"""The fast form, with flag 0 of connection 1."""
TAKE_FLAGS = "xor eax, eax; xchg [0x21200], rax; inc r12;"


class Family:
    """A parent and its child on one machine; the child does not run before ``start``."""

    def __init__(self, parent: str, child: str, handlers: dict[int, str], **parts: Any) -> None:
        self.machine = SmallMachine(parent, partitions=2, handlers=handlers, **parts)
        self.parent, self.child = self.machine.partition, self.machine.add_partition("child", child)
        self.child.parent_id, self.parent.privileges = self.parent.id, PARENT
        for partition in (self.parent, self.child):
            partition.set_hypercall_page(Gpa(0x10_3000))
        block = PostMessageInput.build(connection_id=1, type=1, payload_bytes=8)
        self.child.gpa_space.write(0x8000, bytes(block))
        self.child.vps[0].state = VpState.SUSPENDED

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.hypervisor.close()

    def start(self, blocks: int = 1 << 20, **registers: int) -> None:
        """The parent has come to its wait; now the child begins, and both run until nobody is ready."""
        self.machine.run()
        assert self.machine.vp.state is VpState.IDLE
        self.before = {partition.id: exits(partition) for partition in (self.parent, self.child)}
        vp = self.child.vps[0]
        vp.state = VpState.READY
        for name, value in registers.items():
            vp.write(name, value)
        self.machine.hypervisor.run(blocks)

    def connect(self, kind: PortType, owner: Partition, sender: Partition) -> None:
        """``sender`` may send to SINT 2 of ``owner`` by connection 1."""
        ports = self.machine.hypervisor.ports
        port = Port(owner, 7, kind, sender.id, 2, 0, flag_count=64)
        assert ports.create(port) is ports.connect(sender.id, 1, port) is Status.SUCCESS

    def since(self, partition: Partition) -> Counter[str]:
        """Exits of ``partition`` since the child began."""
        return exits(partition) - self.before[partition.id]

    def received(self) -> list[int]:
        """What the parent's handler has kept."""
        return [self.machine.read(RECEIVED + 8 * index) for index in range(self.machine.vp.read("r12"))]


def exits(partition: Partition) -> Counter[str]:
    counted = partition.vps[0].counters.exits
    kinds = SvmExit.VMMCALL, SvmExit.HLT, SvmExit.MSR, SvmExit.IOIO
    return Counter({kind.name: counted[kind] for kind in kinds if counted[kind]})


def taker(*, eoi: bool = False, pause: str = "") -> dict[int, str]:
    return {PARENT_VECTOR: TAKE_MESSAGE.format(eoi=EOI if eoi else "", pause=pause)}


def receiver(source: int = AUTO_EOI | PARENT_VECTOR) -> str:
    return ENABLE.format(source=source) + WAIT


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_child_posts_a_hundred_messages_and_its_parent_gets_them_in_order(
    paging: PagingMode, core: Core
) -> None:
    code = ENABLE.format(source=AUTO_EOI | PARENT_VECTOR) + MAKE_PORT + WAIT
    with Family(code, POST, taker(), paging=paging, core=core) as family:
        info = PortInfo.build(type=MESSAGE, sint=2)
        ends = {"port_partition": SELF, "port_id": 7, "connection_partition": family.child.id}
        family.parent.gpa_space.write(0x9000, bytes(CreatePortInput.build(**ends, info=info)))
        wanted = ConnectPortInput.build(**ends, connection_id=1, info=ConnectionInfo.build(type=MESSAGE))
        family.parent.gpa_space.write(0xA000, bytes(wanted))
        family.start(rbx=100)
        vp, sender = family.machine.vp, family.child.vps[0]
        assert (vp.read("r14"), vp.read("r15")) == (Status.SUCCESS, Status.SUCCESS)
        assert family.received() == list(range(100))
        assert (vp.state, sender.state) == (VpState.IDLE, VpState.HALTED)
        posts = sender.counters.hypercalls[CallCode.POST_MESSAGE]
        assert posts == 100 + sender.read("r13") and sender.read("r13") > 0


@pytest.mark.parametrize("eoi", [False, True])
def test_receiver_that_is_quick_needs_no_eom(eoi: bool) -> None:
    source = PARENT_VECTOR if eoi else AUTO_EOI | PARENT_VECTOR
    with Family(receiver(source), POST, taker(eoi=eoi)) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.start(rbx=1)
        assert family.received() == [0]
        assert family.since(family.parent) == {"HLT": 1} | ({"MSR": 1} if eoi else {})
        assert family.since(family.child) == {"VMMCALL": 1, "HLT": 1}


def test_messages_that_wait_cost_an_eom_each_but_for_the_last() -> None:
    with Family(receiver(), POST, taker()) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.start(rbx=10)
        assert family.received() == list(range(10))
        assert family.since(family.parent) == {"HLT": 1, "MSR": 9}


def test_eoi_delivers_what_waits_when_a_guest_does_not_write_eom() -> None:
    handler = "mov rax, [0x20210]; mov [r12 * 8 + 0x30000], rax; inc r12; mov dword ptr [0x20200], 0;"
    handlers = {PARENT_VECTOR: handler + EOI + "iretq"}
    with Family(receiver(PARENT_VECTOR), POST, handlers) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.start(rbx=10)
        assert family.received() == list(range(10))
        assert family.since(family.parent) == {"HLT": 1, "MSR": 10}


def test_message_that_nobody_takes_stays_in_its_slot_and_the_others_in_the_queue() -> None:
    with Family(receiver(0x1_0000), POST, {}) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.start(rbx=5)
        assert family.machine.read(0x2_0200, 4) == 1 and family.machine.read(0x2_0205, 1) == 1
        assert family.machine.vp.synic.waiting(2) == 4 and family.since(family.parent) == {}


def test_child_that_posts_into_a_full_port_is_told_and_goes_on() -> None:
    with Family(receiver(0x1_0000), POST, {}) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.start(200_000, rbx=20)
        sender = family.child.vps[0]
        assert sender.read("rbx") == 3 and sender.read("r13") > 100 and sender.state is VpState.READY


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_signals_go_back_and_forth_with_two_exits_a_side(paging: PagingMode, core: Core) -> None:
    rounds = 50
    answer = "push rcx; push rdx; push rax;" + TAKE_FLAGS + "jmp 0x108000"
    enable = ENABLE.format(source=AUTO_EOI | CHILD_VECTOR)
    child = enable + "sti; next:" + SIGNAL + "hlt; cmp r12, rbx; jb next; cli; hlt"
    handlers = {PARENT_VECTOR: answer, CHILD_VECTOR: TAKE_FLAGS + "iretq"}
    with Family(receiver(), child, handlers, paging=paging, core=core) as family:
        family.parent.gpa_space.write(
            0x10_8000, assemble(SIGNAL + "pop rax; pop rdx; pop rcx; iretq", 0x10_8000)
        )
        family.connect(EVENT, family.parent, family.child)
        family.connect(EVENT, family.child, family.parent)
        family.start(rbx=rounds)
        assert family.machine.vp.read("r12") == family.child.vps[0].read("r12") == rounds
        assert family.since(family.parent) == {"VMMCALL": rounds, "HLT": rounds}
        assert family.since(family.child) == {"VMMCALL": rounds, "HLT": rounds + 1, "MSR": 4}


def test_signals_that_come_before_the_flag_is_taken_are_one_interrupt() -> None:
    child = "next:" + SIGNAL + "add rax, 0; jnz bad; dec rbx; jnz next; bad: hlt"
    with Family(receiver(), child, {PARENT_VECTOR: TAKE_FLAGS + "iretq"}) as family:
        family.connect(EVENT, family.parent, family.child)
        family.start(rbx=1000)
        assert family.child.vps[0].read("rbx") == 0
        assert family.machine.vp.read("r12") == 1 and family.since(family.parent) == {"HLT": 1}


def test_child_that_signals_goes_with_its_parent() -> None:
    with Family(receiver(), SIGNAL + "hlt", {}) as family:
        family.connect(EVENT, family.parent, family.child)
        family.machine.run()
        family.machine.hypervisor.delete_partition(family.parent.id)
        assert family.child.vps == [] and family.machine.hypervisor.partitions == {}
        assert family.machine.hypervisor.run() == 0


def test_hypercall_page_over_the_message_page_keeps_messages_back_until_it_is_lifted() -> None:
    with Family(receiver(), POST, taker()) as family:
        family.connect(MESSAGE, family.parent, family.child)
        family.machine.run()
        family.parent.set_hypercall_page(Gpa(0x2_0000))
        family.start(rbx=3)
        assert family.received() == [] and family.machine.vp.synic.waiting(2) == 3
        family.parent.set_hypercall_page(None)
        family.machine.vp.synic.retry()
        family.machine.hypervisor.run(100_000)
        assert family.received() == [0, 1, 2]


def test_same_conversation_gives_the_same_counters_twice() -> None:
    def told() -> tuple[Counter[str], Counter[str], int]:
        with Family(receiver(), POST, taker(pause="mov ecx, 30; 2: loop 2b;")) as family:
            family.connect(MESSAGE, family.parent, family.child)
            family.start(rbx=60)
            assert family.received() == list(range(60))
            return family.since(family.parent), family.since(family.child), family.machine.hypervisor.now

    assert told() == told()
