"""One guest whose devices are in ring -1: boot it, run it, and say what happened in numbers.

Stands for: what a test bench does around a machine.
Next: ``minihv.cli.run``
"""

from minihv.guests.image import Image
from minihv.hypervisor.partition import Partition
from minihv.parent.monolith import Monolith
from minihv.parent.session import ChildSession


class MonolithicSession(ChildSession):
    """A machine without a parent: the guest's devices, its disks and VMBus are in ring -1."""

    @property
    def vmbus(self) -> Monolith:
        """VMBus in ring -1."""
        return self.monolith

    def _boot(self, name: str, image: Image, memory_bytes: int, vps: int) -> Partition:
        self.monolith = Monolith(self.hypervisor)
        self.child = self.monolith.create_child(
            name, memory_bytes, vps, image, ports=self.disks.ports, services=self.disks.services
        )
        self.disks.power_on()
        return self.child.partition
