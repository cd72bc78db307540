"""Three children, one of whose devices crashes, on machines of both architectures: who is alive afterwards.

Stands for: the day on which a driver has a bug.
Next: ``minihv.cli.compare.architecture``
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from minihv.devices.crash import CrashSwitch
from minihv.guests.session import CrashReport, find_image
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.parent.blast import arm, report_crash
from minihv.parent.children import Child
from minihv.parent.disks import ChildDisks, DiskOption
from minihv.parent.monolith import Monolith
from minihv.parent.partition import ParentPartition, parent_bytes, system_bytes
from minihv.storage.making import make_dynamic

CHILDREN = 3
DISK_BYTES = 1 << 20
CRASHES = {"ide@100": ("24_ide", "ide"), "storage@3": ("25_scsi", "scsi")}
"""Which device crashes, in which guest, whose disk is where."""
MOST_BLOCKS = 50_000_000


class Blast(msgspec.Struct, kw_only=True):
    """One crash in one architecture. ``finished`` are the children that ended with status 0."""

    architecture: str
    crash: CrashReport
    finished: list[str]


@contextmanager
def disks_for(controller: str) -> Iterator[list[ChildDisks]]:
    """A new disk for each child."""
    with TemporaryDirectory() as folder:
        disks: list[ChildDisks] = []
        try:
            for number in range(CHILDREN):
                path = Path(folder, f"{number}.vhd")
                make_dynamic(path, DISK_BYTES)
                disks.append(ChildDisks([DiskOption(path, controller)]))
            yield disks
        finally:
            for one in disks:
                one.close()


def in_parent(guest: str, disks: list[ChildDisks], crash: str, progress: Callable[[int], None]) -> Blast:
    """The children of a parent; the first has the device that crashes."""
    _, image, vps, memory = find_image(guest)
    sizes = [memory] * CHILDREN
    with Hypervisor(system_bytes(*sizes)) as hypervisor:
        parent = ParentPartition(hypervisor, parent_bytes(*sizes))
        children = [
            parent.create_child(
                f"child {n}", memory, vps, image, start=False, ports=one.ports, services=one.services
            )
            for n, one in enumerate(disks)
        ]
        switch = CrashSwitch.parse(crash)
        arm(switch, children[0], parent.bus_of(children[0]))
        for child in children:
            parent.begin(child)
        hypervisor.run(MOST_BLOCKS, progress)
        found = report_crash(switch, hypervisor, parent)
        return Blast(architecture="microkernel", crash=found, finished=finished(children))


def in_ring_minus_1(
    guest: str, disks: list[ChildDisks], crash: str, progress: Callable[[int], None]
) -> Blast:
    """The same children, with their devices in ring -1."""
    _, image, vps, memory = find_image(guest)
    with Hypervisor(machine_bytes(memory, CHILDREN)) as hypervisor:
        monolith = Monolith(hypervisor)
        children = [
            monolith.create_child(f"child {n}", memory, vps, image, ports=one.ports, services=one.services)
            for n, one in enumerate(disks)
        ]
        switch = CrashSwitch.parse(crash)
        arm(switch, children[0], monolith.buses[children[0].id])
        hypervisor.run(MOST_BLOCKS, progress)
        found = report_crash(switch, hypervisor)
        return Blast(architecture="monolithic", crash=found, finished=finished(children))


def finished(children: list[Child]) -> list[str]:
    """The children that did all that they wanted to."""
    return [child.name for child in children if child.partition.exit_status == 0]


def blasts(progress: Callable[[int], None] = lambda _blocks: None) -> list[Blast]:
    """Each crash in each architecture, on machines of their own."""
    made = []
    for crash, (guest, controller) in CRASHES.items():
        for run in (in_parent, in_ring_minus_1):
            with disks_for(controller) as disks:
                made.append(run(guest, disks, crash, progress))
    return made
