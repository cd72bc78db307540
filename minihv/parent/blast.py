"""What a device model that crashes takes with it: who died, and who went on.

Stands for: the incident report.
Simplified: none known.
Next: ``minihv.cli.compare.architecture``
"""

from collections.abc import Iterable

from minihv.devices.crash import CrashSwitch, name_of
from minihv.errors import ConfigurationError, nearest
from minihv.guests.session import CrashReport
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.tracing import vector_name
from minihv.parent.buses import ChildBus
from minihv.parent.children import Child
from minihv.parent.partition import ParentPartition


def devices_of(child: Child, bus: ChildBus) -> list[str]:
    """The names of its chips and its services."""
    models: Iterable[object] = (*child.wires.board.chips, *bus.services.values())
    return sorted({name_of(model) for model in models})


def arm(switch: CrashSwitch, child: Child, bus: ChildBus) -> None:
    """The device that ``switch`` names will crash when ``child`` has used it so often.

    Raises:
        ConfigurationError: ``child`` has no such device.
    """
    names = devices_of(child, bus)
    if switch.device not in names:
        raise ConfigurationError(
            f"It is a device of the guest that crashes, and {switch.device!r} is none "
            f"({', '.join(names)}){nearest(switch.device, names) or ': choose one of these.'}"
        )
    board = child.wires.board
    board.ports.before = board.memory.before = switch.operate
    for service in bus.services.values():
        service.before = switch.operate


def report_crash(
    switch: CrashSwitch, hypervisor: Hypervisor, parent: ParentPartition | None = None
) -> CrashReport:
    """What came of it, as the machine has it now."""
    crashed = [one.name for one in hypervisor.partitions.values() if one.has_crashed]
    went_on = [one.name for one in hypervisor.partitions.values() if not one.has_crashed]
    report = CrashReport(device=switch.device, at=switch.at, operations=switch.operations, went_on=went_on)
    if not switch.has_fired:
        report.what = f"it was used {switch.operations} times, and did not crash"
    elif parent is None:
        report.ring, report.died = -1, ["ring -1", *crashed]
        report.what = next(one.why for one in hypervisor.partitions.values() if one.has_crashed)
    elif parent.partition.is_shut_down:
        said = parent.partition.console.decode("utf-8", "replace").strip()
        report.ring, report.died, report.what = 0, [parent.partition.name, *crashed], said
        report.went_on = [name for name in went_on if name != parent.partition.name]
    else:
        names = {child.id: child.name for child in parent.children.values()}
        report.ring = 3
        report.died = [f"worker of {names.get(one.child, one.child)}" for one in parent.workers.deaths]
        report.what = "; ".join(
            f"the worker met {vector_name(one.vector)} at RIP {one.rip:#x}, with CR2 {one.cr2:#x}"
            for one in parent.workers.deaths
        )
        report.restarts = sum(child.restarts for child in parent.children.values())
    return report
