"""A SCSI controller: which disks it has, and what it answers for those that it has not.

Stands for: a SCSI controller of a virtual machine.
Spec: INCITS, "SPC-4", "REPORT LUNS command", "INQUIRY command" for numbers where nothing is.
Simplified: one target.
Next: ``minihv.devices.synthetic.storage``
"""

from collections.abc import Callable, Iterator

from minihv.devices.synthetic.scsi_disk import Answer, ScsiDisk
from minihv.devices.synthetic.scsi_pages import inquiry
from minihv.errors import ConfigurationError
from minihv.spec.scsi import Additional, Command, PeripheralDevice
from minihv.storage.disk import Disk

LUN_BYTES, LIST_HEADER_BYTES = 8, 8
MOST_LUNS = 256
"""A number of a disk has one byte on the way."""


class ScsiController:
    """The disks at ``target`` of path 0, by their LUN. ``on_change`` hears of each that comes or goes."""

    def __init__(self, target: int = 0, most_luns: int = MOST_LUNS) -> None:
        self.target, self.most_luns = target, most_luns
        self.on_change: Callable[[], None] = lambda: None
        self._disks: dict[int, ScsiDisk] = {}

    def __iter__(self) -> Iterator[tuple[int, ScsiDisk]]:
        return iter(sorted(self._disks.items()))

    def __len__(self) -> int:
        return len(self._disks)

    def free_lun(self) -> int | None:
        """The lowest number that is free, if one is."""
        return next((lun for lun in range(self.most_luns) if lun not in self._disks), None)

    def attach(self, disk: Disk, serial: str, lun: int | None = None) -> int:
        """``disk`` is there from now on, at ``lun`` or the lowest number that is free; at which.

        Raises:
            ConfigurationError: the number is taken or too high, or none is free.
        """
        place = self.free_lun() if lun is None else lun
        if place is None or not 0 <= place < self.most_luns:
            raise ConfigurationError(
                f"A SCSI controller has LUNs 0 to {self.most_luns - 1}, and "
                f"{'all are taken' if place is None else f'{place} is none of them'}: detach a disk "
                "first, or choose another controller."
            )
        if place in self._disks:
            raise ConfigurationError(
                f"A LUN is one disk's, and LUN {place} has one already: detach it first, or choose another."
            )
        self._disks[place] = ScsiDisk(disk, serial)
        self._tell()
        return place

    def detach(self, lun: int) -> Disk:
        """The disk at ``lun`` is not there any more; it is flushed.

        Raises:
            ConfigurationError: there is none.
        """
        found = self._disks.pop(lun, None)
        if found is None:
            raise ConfigurationError(
                f"What is detached was attached, and LUN {lun} has no disk: the LUNs are "
                f"{', '.join(map(str, sorted(self._disks))) or 'all free'}."
            )
        found.disk.flush()
        self._tell()
        return found.disk

    def find(self, path: int, target: int, lun: int) -> ScsiDisk | None:
        """The disk with that address."""
        return self._disks.get(lun) if (path, target) == (0, self.target) else None

    def reset(self, lun: int | None = None) -> None:
        """The disk at ``lun``, or every disk, says that it was reset."""
        for number, disk in self:
            if lun in (None, number):
                disk.attend(Additional.RESET_OCCURRED)

    def execute(self, address: tuple[int, int, int], cdb: bytes, data: bytes, room: int) -> Answer | None:
        """Does a command for the disk at path, target and LUN; None: there is nobody who could.

        INQUIRY of a LUN without a disk says so in its data, and the list of LUNs can be asked of any.
        """
        if cdb[:1] == bytes([Command.REPORT_LUNS]) and address[:2] == (0, self.target):
            return Answer(self._lun_list()[: int.from_bytes(cdb[6:10], "big")])
        disk = self.find(*address)
        if disk is not None:
            return disk.execute(cdb, data, room)
        if cdb[:1] == bytes([Command.INQUIRY]):
            return Answer(inquiry(PeripheralDevice.NOBODY)[: int.from_bytes(cdb[3:5], "big")])
        return None

    def _lun_list(self) -> bytes:
        luns = b"".join(bytes([0, lun]).ljust(LUN_BYTES, b"\0") for lun, _ in self)
        return len(luns).to_bytes(4, "big").ljust(LIST_HEADER_BYTES, b"\0") + luns

    def _tell(self) -> None:
        for _, disk in self:
            disk.attend(Additional.REPORTED_LUNS_CHANGED)
        self.on_change()
