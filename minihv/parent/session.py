"""One guest as a child of a parent partition: boot both, run, and say what happened in numbers.

Stands for: what a test bench does around a machine.
Next: ``minihv.cli.run``
"""

from collections.abc import Callable

from minihv.guests.image import Image
from minihv.guests.session import GuestSession, Report
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.vp import VpState
from minihv.machine.shadow import ShadowOptions
from minihv.parent.partition import ParentPartition, parent_bytes, system_bytes


class ParentSession(GuestSession):
    """A machine with a parent partition and one guest as its child. It is used as a ``GuestSession``."""

    def _system_bytes(self, memory_bytes: int, shadow: ShadowOptions | None) -> int:
        return system_bytes(memory_bytes, shadow=shadow)

    def _boot(self, name: str, image: Image, memory_bytes: int, vps: int) -> Partition:
        self.parent = ParentPartition(self.hypervisor, parent_bytes(memory_bytes))
        self.child = self.parent.create_child(name, memory_bytes, vps, image, start=False)
        return self.child.partition

    def run(self, blocks: int | None = None, progress: Callable[[int], None] | None = None) -> Report:
        """Runs until the guest stops, or for ``blocks`` blocks."""
        self.parent.begin(self.child)
        self.hypervisor.run(blocks, progress)
        self.parent.check()
        return self.report()

    def report(self) -> Report:
        """What has happened so far."""
        report = super().report()
        parent = next(one for one in report.partitions if one.id == self.parent.partition.id)
        if self.parent.vp.state is VpState.IDLE:
            parent.stopped, parent.why = "idle", "it waits for its children"
        if self.child.stopped and not self.partition.is_shut_down:
            child = next(one for one in report.partitions if one.id == self.child.id)
            report.stopped = child.stopped = self.child.stopped
            report.why = child.why = self.child.why
        return report
