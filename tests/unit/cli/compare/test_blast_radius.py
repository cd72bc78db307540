"""Of three children one has a device that crashes; in each architecture others are alive afterwards."""

import pytest

from minihv.cli.compare.blast_radius import (
    CRASHES,
    Blast,
    disks_for,
    in_parent,
    in_ring_minus_1,
)

CHILDREN = ["child 0", "child 1", "child 2"]


def blast(architecture: str, crash: str) -> Blast:
    guest, controller = CRASHES[crash]
    run = {"microkernel": in_parent, "monolithic": in_ring_minus_1}[architecture]
    with disks_for(controller) as disks:
        return run(guest, disks, crash, lambda _blocks: None)


def test_chip_in_ring_3_takes_one_worker_along_and_the_other_children_never_notice() -> None:
    found = blast("microkernel", "ide@100")
    assert found.crash.died == ["worker of child 0"] and found.crash.restarts == 1
    assert found.crash.went_on == ["parent", *CHILDREN] and found.finished == CHILDREN[1:]


def test_service_in_ring_0_takes_the_parent_and_every_child_along() -> None:
    found = blast("microkernel", "storage@3")
    assert found.crash.died == ["parent", *CHILDREN] and found.finished == []


@pytest.mark.parametrize("crash", CRASHES)
def test_device_in_ring_minus_1_takes_the_machine_along(crash: str) -> None:
    found = blast("monolithic", crash)
    assert found.crash.died == ["ring -1", *CHILDREN] and found.crash.went_on == found.finished == []
