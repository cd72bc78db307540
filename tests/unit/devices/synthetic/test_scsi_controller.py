"""Which disks a controller has, and what it says of those that it has not."""

import pytest
from scsi_guests import MemoryDisk, sense_of

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.errors import ConfigurationError
from minihv.spec.scsi import Additional, Command, SenseKey

INQUIRY = bytes([Command.INQUIRY, 0, 0, 0, 36, 0])
READY = bytes(6)
REPORT_LUNS = bytes([Command.REPORT_LUNS, *[0] * 5, 0, 0, 1, 0, 0, 0])


def with_disks(*luns: int, **options: int) -> ScsiController:
    """A controller with an empty disk at each of ``luns``; what they have to say was said."""
    controller = ScsiController(**options)
    for lun in luns:
        controller.attach(MemoryDisk(), f"SERIAL{lun}", lun)
    for lun in luns * len(luns):
        controller.execute((0, controller.target, lun), READY, b"", 0)
    return controller


def test_disks_take_the_lowest_numbers_that_are_free() -> None:
    controller = with_disks(0, 2)
    assert [controller.attach(MemoryDisk(), "A"), controller.attach(MemoryDisk(), "B")] == [1, 3]
    assert [lun for lun, _ in controller] == [0, 1, 2, 3] and len(controller) == 4


def test_list_of_luns_has_those_with_a_disk() -> None:
    answer = with_disks(0, 7, 255).execute((0, 0, 9), REPORT_LUNS, b"", 256)
    assert answer is not None
    assert answer.data == bytes([0, 0, 0, 24, 0, 0, 0, 0]) + b"".join(
        bytes([0, lun, 0, 0, 0, 0, 0, 0]) for lun in (0, 7, 255)
    )


def test_lun_without_a_disk_says_so_to_inquiry_and_to_nothing_else() -> None:
    controller = with_disks(0)
    answer = controller.execute((0, 0, 1), INQUIRY, b"", 36)
    assert answer is not None and answer.data[0] == 0x7F
    assert controller.execute((0, 0, 1), READY, b"", 0) is None


@pytest.mark.parametrize("address", [(1, 0, 0), (0, 1, 0)])
def test_other_paths_and_targets_have_nobody(address: tuple[int, int, int]) -> None:
    controller = with_disks(0)
    assert controller.execute(address, READY, b"", 0) is None
    assert controller.execute(address, REPORT_LUNS, b"", 256) is None
    assert with_disks(0, target=1).execute((0, 1, 0), READY, b"", 0) is not None


def test_change_is_told_to_every_disk_and_to_whoever_listens() -> None:
    controller, told = with_disks(0), list[str]()
    controller.on_change = lambda: told.append("changed")
    controller.attach(MemoryDisk(), "NEW", 5)
    for lun in (0, 5):
        answer = controller.execute((0, 0, lun), READY, b"", 0)
        assert answer is not None
        assert sense_of(answer) == (SenseKey.UNIT_ATTENTION, Additional.REPORTED_LUNS_CHANGED)
    controller.detach(5)
    assert told == ["changed"] * 2


def test_reset_is_told_by_the_disk_or_by_all() -> None:
    controller = with_disks(0, 1)
    controller.reset(1)
    first, second = (controller.execute((0, 0, lun), READY, b"", 0) for lun in (0, 1))
    assert first is not None and second is not None
    assert first.sense == b"" and sense_of(second)[1] == Additional.RESET_OCCURRED
    controller.reset()
    assert all(
        sense_of(answer)[1] == Additional.RESET_OCCURRED
        for lun in (0, 1)
        if (answer := controller.execute((0, 0, lun), READY, b"", 0)) is not None
    )


def test_disk_that_goes_is_flushed_first() -> None:
    controller, disk = ScsiController(), MemoryDisk()
    controller.attach(disk, "A")
    assert controller.detach(0) is disk and disk.flushes == 1


def test_what_cannot_be_attached_or_detached_is_refused() -> None:
    full = with_disks(0, 1, most_luns=2)
    refusals = {
        (
            None,
        ): "A SCSI controller has LUNs 0 to 1, and all are taken: detach a disk first, or choose another "
        "controller.",
        (
            2,
        ): "A SCSI controller has LUNs 0 to 1, and 2 is none of them: detach a disk first, or choose another "
        "controller.",
        (1,): "A LUN is one disk's, and LUN 1 has one already: detach it first, or choose another.",
    }
    for (lun,), sentence in refusals.items():
        with pytest.raises(ConfigurationError) as refused:
            full.attach(MemoryDisk(), "A", lun)
        assert str(refused.value) == sentence
    with pytest.raises(ConfigurationError) as refused:
        full.detach(7)
    assert str(refused.value) == "What is detached was attached, and LUN 7 has no disk: the LUNs are 0, 1."
