"""The command: what is measured, what is refused, JSON, the table and the verdict, interrupts."""

import json

import pytest
from command_line import CommandLine

from minihv.cli.compare import io
from minihv.cli.compare.io import IoOptions, middle, tasks_of, verdict
from minihv.cli.compare.ways import Measured, Task

FIELDS = [
    "path", "architecture", "request_bytes", "queue_depth", "requests", "exits", "exits_per_request",
    "intercept_messages", "interrupts", "world_switches", "ring_changes", "bytes_copied", "blocks_child",
    "blocks_parent", "seconds", "mb_per_second",
]  # fmt: skip
QUICK = ("--path", "scsi", "--size", "512", "--rounds", "1", "--architecture", "microkernel")


def made_up(task: Task, seconds: float = 1.0) -> Measured:
    """A measurement that nobody made: 100 exits a request along IDE, 4 along others."""
    exits = 100 if task.way.name == "ide-pio" else 4
    return Measured(
        path=task.way.name,
        architecture=task.architecture,
        request_bytes=task.request_bytes,
        queue_depth=task.queue_depth,
        requests=2,
        exits=2 * exits,
        exits_per_request=exits,
        intercept_messages=0,
        interrupts=0,
        world_switches=0,
        ring_changes=0,
        bytes_copied=0,
        blocks_child=0,
        blocks_parent=0,
        seconds=seconds,
        mb_per_second=2 * task.request_bytes / seconds / 1e6,
    )


REFUSALS = {
    ("--rounds", "0"): "A comparison takes at least one round, not 0: leave --rounds out for 3.",
    (
        "--path",
        "scsy",
    ): "A way to a disk is one of ide-pio, ide-dma, scsi, passthrough, not 'scsy', did you mean 'scsi'?",
    ("--size", "100"): "A request is of whole sectors, 512 bytes to 1 MiB, not 100 bytes: write 4K.",
    ("--size", "2M"): "A request is of whole sectors, 512 bytes to 1 MiB, not 2,097,152 bytes: write 4K.",
    ("--architecture", "micro"): "An architecture is microkernel or monolithic, not 'micro', did you mean "
    "'microkernel'?",
    ("--depth", "33"): "A queue holds 1 to 32 requests, not 33: write --depth 8.",
    ("--timeline", "a.png"): "A timeline is a file that ends in .txt, .svg or .json, which a.png does not: "
    "rename it.",
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.items(), ids=[" ".join(key) for key in REFUSALS])
def test_what_cannot_be_is_refused(minihv: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    done = minihv("compare", "io", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {sentence}\n")


def test_large_requests_word_by_word_are_measured_only_if_asked_for() -> None:
    def sizes(options: IoOptions) -> list[int]:
        tasks = [task for task in tasks_of(options) if task.way.name == "ide-pio"]
        return [task.request_bytes for task in tasks if task.architecture == "monolithic"]

    assert sizes(IoOptions()) == [512, 4096]
    assert sizes(IoOptions(all=True)) == [512, 4096, 65536, 1 << 20]
    assert sizes(IoOptions(sizes=("64K",))) == [65536]


def test_way_without_a_queue_is_measured_once_for_each_size() -> None:
    options = IoOptions(paths=("ide-dma", "scsi"), sizes=("512",), depths=(2, 3))
    found = [(task.way.name, task.queue_depth, task.architecture) for task in tasks_of(options)]
    assert found == [
        (name, depth, architecture)
        for name, depth in (("ide-dma", 1), ("scsi", 2), ("scsi", 3))
        for architecture in ("microkernel", "monolithic")
    ]


def test_json_has_one_object_for_each_measurement(minihv: CommandLine) -> None:
    done = minihv("compare", "io", *QUICK, "--depth", "1", "--depth", "4", "--json")
    found = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert [list(one) for one in found] == [FIELDS] * 2
    assert [(one["queue_depth"], one["exits_per_request"]) for one in found] == [(1, 5), (4, 5 / 4)]


def test_table_and_verdict_are_told(minihv: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "apart", made_up)
    done = minihv(
        *("compare", "io", "--path", "ide-pio", "--path", "scsi", "--size", "512", "--depth", "1", "--plain"),
        *("--architecture", "monolithic"),
    )
    lines = done.out.splitlines()
    assert lines[1].split()[:7] == ["way", "devices", "in", "bytes", "depth", "requests", "exits"]
    assert [line.split()[:7] for line in lines[2:4]] == [
        ["ide-pio", "ring", "-1", "512", "1", "2", "200"],
        ["scsi", "ring", "-1", "512", "1", "2", "8"],
    ]
    assert lines[4:] == [
        "512 bytes, monolithic: scsi takes 25.0 times fewer exits than ide-pio, and moves 1.0 times as much "
        "in the same time (depth 1)."
    ]


def test_time_is_the_median_of_the_rounds() -> None:
    task = next(tasks_of(IoOptions(paths=("scsi",))))
    found = middle([made_up(task, seconds) for seconds in (3.0, 1.0, 2.0)])
    assert (found.seconds, found.mb_per_second) == (2.0, 2 * 512 / 2.0 / 1e6)


def test_sizes_are_not_compared_with_each_other() -> None:
    tasks = tasks_of(IoOptions(paths=("ide-pio", "scsi"), depths=(1,)))
    said = list(verdict([made_up(task) for task in tasks]))
    assert [line.partition(":")[0] for line in said] == [
        f"{size} bytes, {architecture}"
        for size in ("512", "4,096")
        for architecture in ("microkernel", "monolithic")
    ]


def test_verdict_has_one_line_for_each_pair_of_ways_with_the_range_over_the_depths() -> None:
    options = IoOptions(paths=("ide-pio", "ide-dma", "scsi"), sizes=("512",), architectures=("monolithic",))
    measured = [made_up(task, seconds=1 / task.queue_depth) for task in tasks_of(options)]
    for one in measured:
        one.exits_per_request /= one.queue_depth
    assert list(verdict(measured)) == [
        "512 bytes, monolithic: scsi takes 25.0 to 800.0 times fewer exits than ide-pio, and moves 1.0 to "
        "32.0 times as much in the same time (depth 1 to 32).",
        "512 bytes, monolithic: scsi takes 1.0 to 32.0 times fewer exits than ide-dma, and moves 1.0 to "
        "32.0 times as much in the same time (depth 1 to 32).",
    ]


def test_interrupt_keeps_what_was_measured(minihv: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(task: Task) -> Measured:
        if task.queue_depth > 1:
            raise KeyboardInterrupt
        return made_up(task)

    monkeypatch.setattr(io, "apart", once)
    done = minihv("compare", "io", *QUICK, "--depth", "1", "--depth", "2", "--plain")
    assert done.status == 130
    assert done.err == "minihv: interrupted: 1 of 2 were measured.\n"
    assert done.out.splitlines()[2].split()[:4] == ["scsi", "parent", "512", "1"]
