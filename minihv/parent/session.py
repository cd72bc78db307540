"""One guest as a child of a parent partition: boot both, run, and say what happened in numbers.

Stands for: what a test bench does around a machine.
Next: ``minihv.cli.run``
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minihv.devices.crash import CrashSwitch
from minihv.devices.synthetic.service import SECOND
from minihv.devices.synthetic.shutdown import TIMEOUT_SECONDS, ShutdownOutcome
from minihv.guests.image import Image
from minihv.guests.session import CrashReport, GuestSession, Report
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.states import VpState
from minihv.machine import clock
from minihv.machine.shadow import ShadowOptions
from minihv.parent.blast import arm, report_crash
from minihv.parent.buses import Buses, ChildBus
from minihv.parent.children import Child
from minihv.parent.disks import ANNOUNCED, Attached, ChildDisks, DiskLimits, DiskOption
from minihv.parent.partition import ParentPartition, parent_bytes, system_bytes
from minihv.parent.vmbus_service import VmbusService

TURNED_OFF = 1
"""The exit status of a guest that did not end by itself."""


class ChildSession(GuestSession, ABC):
    """A machine whose guest has devices, whoever emulates them. It is used as a ``GuestSession``.

    ``disks`` are those of the guest. A subclass has ``child`` and ``vmbus`` when it has booted.
    """

    child: Child
    switch: CrashSwitch | None = None

    @property
    @abstractmethod
    def vmbus(self) -> Buses:
        """Who serves the bus of the guest."""

    @property
    def bus(self) -> ChildBus:
        """The bus of the guest."""
        return self.vmbus.buses[self.child.id]

    def __init__(
        self, guest: str, *, disks: Sequence[DiskOption] = (), limits: DiskLimits = ANNOUNCED, **options: Any
    ) -> None:
        self.disks = ChildDisks(disks, limits)
        try:
            super().__init__(guest, **options)
        except BaseException:
            self.disks.close()
            raise

    def close(self) -> None:
        """Gives the machine back, and its disks."""
        super().close()
        self.disks.close()

    def attach_disk(self, option: DiskOption) -> Attached:
        """A disk comes while the guest runs, which is told when the machine goes on; where it is.

        Raises:
            ConfigurationError: it is for IDE, there is no place for it, or it cannot be opened.
        """
        known = len(self.disks.services)
        found = self.disks.attach(option)
        for service in self.disks.services[known:]:
            self.vmbus.offer(self.bus, service)
        self.vmbus.attend(self.bus)
        return found

    def detach_disk(self, path: Path) -> Attached:
        """A disk goes while the guest runs, as with ``attach_disk``; where it was.

        Raises:
            ConfigurationError: it is at IDE, or no disk of the guest.
        """
        found = self.disks.detach(path)
        self.vmbus.attend(self.bus)
        return found

    def shut_down_after(self, seconds: float) -> None:
        """Has the guest asked to shut down when so much virtual time has passed from now on.

        One that does not listen, or is not done a minute later, is turned off.
        """
        self._at(seconds, lambda: self._ask(seconds))

    def _ask(self, seconds: float) -> None:
        if self.has_ended:
            return
        answer = self.vmbus.shut_down(self.bus, "The time is over.")
        if answer.outcome is ShutdownOutcome.NO_CONTACT:
            self._turn_off(f"after {seconds:g} s, because {answer.outcome.value} to the shutdown service")
        else:
            self._at(TIMEOUT_SECONDS, lambda: self._turn_off(f"{TIMEOUT_SECONDS} s after it was asked to"))

    def _turn_off(self, why: str) -> None:
        if not self.has_ended:
            self.partition.shut_down(TURNED_OFF, f"it was turned off {why}")

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        due = self.hypervisor.now + clock.blocks_until(round(seconds * SECOND))
        self.hypervisor.alarms.set(self, due, lambda _: what())

    def report(self) -> Report:
        """What has happened so far; where the worker said why the guest cannot go on, in its words."""
        report = super().report()
        report.screen = self.child.wires.board.vga.text()
        if self.child.stopped and not self.partition.is_shut_down:
            self._say(report, self.child.stopped, self.child.why)
        elif not self.child.is_started:
            self._say(report, "budget", "it has not begun")
        if self.switch is not None:
            report.crash = self._crash_report(self.switch)
        return report

    def _say(self, report: Report, stopped: str, why: str) -> None:
        """What the guest's partition cannot tell of itself."""
        child = next(one for one in report.partitions if one.id == self.child.id)
        report.stopped = child.stopped = stopped
        report.why = child.why = why

    def crash(self, switch: CrashSwitch) -> None:
        """Has a device of the guest crash.

        Raises:
            ConfigurationError: the guest has none of that name.
        """
        arm(switch, self.child, self.bus)
        self.switch = switch

    def _crash_report(self, switch: CrashSwitch) -> CrashReport:
        return report_crash(switch, self.hypervisor)


class ParentSession(ChildSession):
    """A machine with a parent partition and one guest as its child."""

    @property
    def vmbus(self) -> VmbusService:
        """VMBus of the parent."""
        return self.parent.vmbus

    def _system_bytes(self, memory_bytes: int, shadow: ShadowOptions | None) -> int:
        return system_bytes(memory_bytes, shadow=shadow)

    def _boot(self, name: str, image: Image, memory_bytes: int, vps: int) -> Partition:
        self.parent = ParentPartition(self.hypervisor, parent_bytes(memory_bytes))
        self.child = self.parent.create_child(
            name,
            memory_bytes,
            vps,
            image,
            start=False,
            ports=self.disks.ports,
            services=self.disks.services,
        )
        self.disks.power_on()
        return self.child.partition

    def _crash_report(self, switch: CrashSwitch) -> CrashReport:
        return report_crash(switch, self.hypervisor, self.parent)

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
        return report
