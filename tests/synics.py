"""Synthetic interrupt controllers for tests, one alone and two that talk, with APICs that only write down."""

from dataclasses import dataclass, field
from typing import Self

from calls_made import FAST, INPUT, OUTPUT
from machines import SmallMachine

from minihv.hypervisor.gpa_space import GpaSpace
from minihv.hypervisor.hypercalls import perform
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.ports import Ports
from minihv.hypervisor.privileges import PARENT
from minihv.hypervisor.synic import Message, Synic
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.memory import SystemMemory
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.synic import (
    SLOT_BYTES,
    ConnectionInfo,
    ConnectPortInput,
    CreatePortInput,
    MessageSlot,
    PortInfo,
    PortType,
)
from minihv.terms import MIB, PAGE_BYTES

SIMP, SIEFP, VECTOR, SINT = 0x5000, 0x6000, 0x52, 2
ENABLE = 1
MASKED, AUTO_EOI, POLLING = 1 << 16, 1 << 17, 1 << 18
RAM = 1 * MIB
PORT, CONNECTION = 0x201, 1


@dataclass
class WrittenApic:
    """Writes down each request: the vector, and whether it ends by itself."""

    requests: list[tuple[int, bool]] = field(default_factory=list)

    def request(self, vector: int, *, auto_eoi: bool = False, level: bool = False) -> bool:
        assert not level
        self.requests.append((vector, auto_eoi))
        return True


class Controller:
    """A controller that is enabled, with ``SINT`` at ``VECTOR``. Use it as a context manager."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.memory = SystemMemory(4 * MIB)
        self.space = GpaSpace(self.memory, 7)
        self.space.add_ram(RAM)
        self.base = self.space.spa_of(0) or 0
        """RAM is one run from here, and stays when it is hidden or taken away."""
        self.apic = WrittenApic()
        self.synic = Synic(self.space, self.apic)
        if enabled:
            assert self.synic.write_simp(SIMP | ENABLE)
            assert self.synic.write_siefp(SIEFP | ENABLE)
            assert self.synic.write_sint(SINT, VECTOR)
            assert self.synic.write_control(ENABLE)

    def __enter__(self) -> "Controller":
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()

    def slot(self, sint: int = SINT) -> MessageSlot:
        """A copy of the slot of ``sint``."""
        return MessageSlot(bytearray(self.memory.read(self.base + SIMP + sint * SLOT_BYTES, SLOT_BYTES)))

    def empty(self, sint: int = SINT) -> None:
        """The guest has read the slot: its type is 0, and the rest as it was."""
        self.space.write(SIMP + sint * SLOT_BYTES, bytes(4))

    def take(self, sint: int = SINT) -> Message | None:
        """What a guest does: copy, empty, and write EOM if it was told to. ``None``: there was nothing."""
        slot = self.slot(sint)
        if slot.type == 0:
            return None
        self.empty(sint)
        if slot.flags.pending:
            self.synic.retry()
        return Message(slot.type, slot.origin, slot.payload[: slot.payload_bytes])

    def flags(self, sint: int = SINT) -> set[int]:
        """The event flags of ``sint`` that are set."""
        raw = int.from_bytes(self.memory.read(self.base + SIEFP + sint * SLOT_BYTES, SLOT_BYTES), "little")
        return {flag for flag in range(8 * SLOT_BYTES) if raw >> flag & 1}

    def clear_flags(self, sint: int = SINT) -> None:
        """The guest has taken all event flags of ``sint``."""
        self.space.write(SIEFP + sint * SLOT_BYTES, bytes(SLOT_BYTES))

    def write_over(self, page: int, byte: int) -> None:
        """Fills a page of RAM with ``byte``."""
        self.space.write(page, bytes([byte]) * PAGE_BYTES)


class Talkers:
    """A parent, partition 1, and its child, partition 2, of ``vps`` VPs each, whose controllers are enabled.

    Calls are made by VP 0 of either; interrupts are only written down. Use it as a context manager.
    """

    def __init__(self, vps: int = 1) -> None:
        self.machine = SmallMachine(partitions=3, vps=vps)
        self.parent = self.machine.partition
        self.child = self.machine.add_partition("child", "hlt")
        self.child.parent_id, self.parent.privileges = self.parent.id, PARENT
        self.apics: dict[tuple[int, int], WrittenApic] = {}
        for partition in (self.parent, self.child):
            for vp in partition.vps:
                self.enable(vp)

    def __enter__(self) -> "Talkers":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.hypervisor.close()

    @property
    def ports(self) -> Ports:
        """Those of the machine."""
        return self.machine.hypervisor.ports

    def enable(self, vp: VirtualProcessor) -> None:
        """Gives ``vp`` a controller with its own pages, enabled."""
        apic = self.apics[vp.partition.id, vp.index] = WrittenApic()
        vp.synic = Synic(vp.partition.gpa_space, apic)
        pages = 0x2_0000 + 0x2000 * vp.index
        assert vp.synic.write_simp(pages | ENABLE) and vp.synic.write_siefp(pages + 0x1000 | ENABLE)
        assert vp.synic.write_sint(SINT, VECTOR) and vp.synic.write_control(ENABLE)

    def call(self, caller: Partition, value: int, block: bytes = b"") -> Status:
        """VP 0 of ``caller`` makes a call with ``block`` as its input."""
        vp = caller.vps[0]
        caller.gpa_space.write(INPUT, block)
        vp.write("rdx", INPUT)
        vp.write("r8", OUTPUT)
        return perform(self.machine.hypervisor, vp, value)[0]

    def fast(self, caller: Partition, value: int, first: int, second: int = 0) -> Status:
        """The same with up to 16 bytes of parameters in registers."""
        vp = caller.vps[0]
        vp.write("rdx", first)
        vp.write("r8", second)
        return perform(self.machine.hypervisor, vp, value | FAST)[0]

    def make(self, kind: PortType = PortType.MESSAGE, port_id: int = PORT, **info: int) -> Status:
        """The parent makes a port of its own for the child to connect to."""
        parts = {"type": kind, "sint": SINT, "vp": 0, "base_flag": 64, "flag_count": 8, **info}
        block = CreatePortInput.build(
            port_partition=self.parent.id,
            port_id=port_id,
            connection_partition=self.child.id,
            info=PortInfo.build(**parts),
        )
        return self.call(self.parent, CallCode.CREATE_PORT, bytes(block))

    def connect(
        self, kind: PortType = PortType.MESSAGE, port_id: int = PORT, connection_id: int = CONNECTION
    ) -> Status:
        """The parent connects the child to a port of its own."""
        block = ConnectPortInput.build(
            connection_partition=self.child.id,
            connection_id=connection_id,
            port_partition=self.parent.id,
            port_id=port_id,
            info=ConnectionInfo.build(type=kind),
        )
        return self.call(self.parent, CallCode.CONNECT_PORT, bytes(block))

    def connected(self, kind: PortType = PortType.MESSAGE, **info: int) -> Self:
        """Both of that succeeded."""
        assert self.make(kind, **info) is Status.SUCCESS and self.connect(kind) is Status.SUCCESS
        return self

    def post(self, payload: bytes = b"", *, kind: int = 1, connection_id: int = CONNECTION) -> Status:
        """The child posts."""
        header = connection_id.to_bytes(8, "little") + kind.to_bytes(4, "little")
        block = header + len(payload).to_bytes(4, "little") + payload
        return self.call(self.child, CallCode.POST_MESSAGE, block.ljust(256, b"\0"))

    def signal(self, flag: int = 0, connection_id: int = CONNECTION) -> Status:
        """The child signals, by the fast form."""
        return self.fast(self.child, CallCode.SIGNAL_EVENT, connection_id | flag << 32)

    def slot(self, vp: int = 0, sint: int = SINT) -> MessageSlot:
        """A slot of the parent's."""
        at = 0x2_0000 + 0x2000 * vp + sint * SLOT_BYTES
        return MessageSlot(bytearray(self.parent.gpa_space.read(at, SLOT_BYTES)))

    def flags(self, vp: int = 0) -> list[int]:
        """The parent's event flags of ``SINT`` that are set."""
        raw = self.parent.gpa_space.read(0x2_1000 + 0x2000 * vp + SINT * SLOT_BYTES, SLOT_BYTES)
        return [flag for flag in range(2048) if raw[flag // 8] >> flag % 8 & 1]
