"""The same requests along one way: what is counted, in closed form, and what cannot be."""

import pytest

from minihv.cli.compare import ways
from minihv.cli.compare.ways import IDE_DMA, IDE_PIO, PASSTHROUGH, SCSI, Task, Way, measure
from minihv.cli.run import ARCHITECTURES, MICROKERNEL
from minihv.errors import ConfigurationError, InternalError

WORDS = 256
"""Of a sector."""
SYNTHETIC = [SCSI, PASSTHROUGH]


def task(way: Way, request_bytes: int, queue_depth: int = 1, architecture: str = MICROKERNEL) -> Task:
    return Task(way, architecture, request_bytes, queue_depth)


def nothing() -> None:
    """A beat."""


@pytest.mark.parametrize(
    ("one", "count"),
    [
        (task(SCSI, 512), 64),
        (task(SCSI, 512, 32), 64),
        (task(SCSI, 1 << 20), 4),
        (task(SCSI, 1 << 20, 32), 32),
        (task(IDE_PIO, 512), 16),
        (task(IDE_PIO, 65536), 1),
    ],
    ids=str,
)
def test_requests_fill_the_queue_and_stay_in_the_budget(one: Task, count: int) -> None:
    assert one.request_count == count


def test_each_word_of_a_sector_is_an_intercept_message() -> None:
    found = measure(task(IDE_PIO, 512), nothing)
    per_request = found.intercept_messages / found.requests
    assert WORDS < per_request < WORDS + 16
    assert found.exits == 4 * found.intercept_messages  # the access, the gate, the answer, the HLT
    assert found.ring_changes == 2 * found.intercept_messages
    assert found.bytes_copied == found.requests * 512


def test_transfer_by_dma_costs_the_same_whatever_its_size() -> None:
    small, large = (measure(task(IDE_DMA, size), nothing) for size in (512, 65536))
    assert small.exits_per_request == large.exits_per_request == 4 * 16
    assert large.bytes_copied == large.requests * 65536


@pytest.mark.parametrize("way", SYNTHETIC, ids=lambda way: way.name)
@pytest.mark.parametrize("request_bytes", [512, 65536])
def test_synthetic_request_costs_five_exits_whatever_its_size(way: Way, request_bytes: int) -> None:
    found = measure(task(way, request_bytes), nothing)
    assert (found.exits_per_request, found.intercept_messages, found.ring_changes) == (5, 0, 0)
    assert found.interrupts == 2 * found.requests
    assert found.bytes_copied == found.requests * request_bytes


def test_monolith_has_no_messages_no_switches_and_an_exit_for_each_access() -> None:
    emulated = measure(task(IDE_PIO, 512, architecture="monolithic"), nothing)
    synthetic = measure(task(SCSI, 512, architecture="monolithic"), nothing)
    for found in (emulated, synthetic):
        assert (found.intercept_messages, found.world_switches, found.ring_changes, found.blocks_parent) == (
            *(0, 0, 0, 0),
        )
    assert WORDS < emulated.exits_per_request < WORDS + 16
    assert synthetic.exits_per_request == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_queue_divides_the_price_by_its_depth(architecture: str) -> None:
    one, many = (measure(task(SCSI, 512, depth, architecture), nothing) for depth in (1, 32))
    assert many.exits_per_request == one.exits_per_request / 32


def test_way_that_has_no_disk_is_told() -> None:
    nowhere = Way("nowhere", 1, "ide", has_queue=True)
    with pytest.raises(ConfigurationError) as refused:
        measure(task(nowhere, 512), nothing)
    assert str(refused.value) == (
        "What is compared must work, and along nowhere, microkernel, 512 bytes, depth 1 it does not: the "
        "guest said 'ok      the plan can be carried out\\nThere is no disk. Give one with --disk FILE or "
        "--disk FILE:scsi.\\n1 held, 0 failed'."
    )


def test_guest_without_its_marks_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "GUEST", "01_hello")
    with pytest.raises(InternalError) as failed:
        measure(task(SCSI, 512), nothing)
    assert str(failed.value) == "The guest 01_hello has lost its symbol io_plan: please report it."
