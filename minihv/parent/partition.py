"""The parent partition: partition 1, whose kernel in C carries out what Python asks of it.

Stands for: the parent partition with its virtualization stack, from its own boot on.
Spec: TLFS, "Partitions" and "Partition Management".
Next: ``minihv.parent.children``
"""

import struct

from minihv.errors import InternalError
from minihv.guests.catalogue import IMAGES
from minihv.guests.image import load_image
from minihv.guests.session import load
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.privileges import PARENT
from minihv.hypervisor.vp import VpState
from minihv.parent.gate import Gate, GateCall, GateCode
from minihv.parent.orders import Orders
from minihv.parent.vid import Vid
from minihv.terms import MIB

KERNEL = IMAGES / "parent.elf"
KERNEL_BYTES = 16 * MIB
"""RAM that the kernel keeps at most: its image, its tables and its workers."""
DOORBELL_VECTOR = 0x4F
HELLO = struct.Struct("<QQQ")
"""GPA of the desk, where RAM is free from, how many workers there can be."""


class ParentPartition:
    """Partition 1 of ``hypervisor``, booted and idle.

    ``log`` holds the lines that its kernel wrote, ``gate`` the services that it may ask.
    """

    def __init__(self, hypervisor: Hypervisor, memory_bytes: int) -> None:
        self.hypervisor = hypervisor
        self.partition = hypervisor.create_partition("parent", memory_bytes, privileges=PARENT)
        self.vp = self.partition.vps[0]
        self.gate = Gate()
        self.orders = Orders(self.partition, self.gate, self._ring)
        self.log: list[str] = []
        self.worker_count = 0
        self._vid: Vid | None = None
        self.gate.serve(GateCode.HELLO, self._hello)
        self.gate.serve(GateCode.LOG, self._write_log)
        self.partition.service_gate = self.gate
        load(self.partition, load_image(KERNEL), memory_bytes)
        self.settle()

    @property
    def vid(self) -> Vid:
        """Whose memory is whose."""
        if self._vid is None:
            raise InternalError("The kernel of the parent has not said hello.")
        return self._vid

    def settle(self) -> None:
        """Runs the machine until nobody in it has anything to do."""
        self.hypervisor.run()
        self.check()

    def check(self) -> None:
        """Refuses to go on with a parent that has ended.

        Raises:
            InternalError: it has.
        """
        if self.partition.has_stopped or self._vid is None:
            said = self.partition.console.decode("utf-8", "replace").strip() or self.vp.why or "no word"
            raise InternalError(f"The kernel of the parent partition has ended ({said}): please report it.")

    def _ring(self) -> None:
        """The doorbell: an interrupt tells the kernel that orders wait."""
        self.vp.control.virtual_interrupt = DOORBELL_VECTOR << 32 | 1 << 20 | 1 << 8
        if self.vp.state is VpState.IDLE:
            self.vp.state = VpState.READY

    def _hello(self, call: GateCall) -> int:
        self.orders.desk_gpa, free_from, self.worker_count = HELLO.unpack(call.read())
        self._vid = Vid(self.partition.gpa_space, free_from, self.partition.gpa_space.ram_bytes)
        return self.orders.place()

    def _write_log(self, call: GateCall) -> int:
        self.log.append(call.read().decode("utf-8", "replace"))
        return 0
