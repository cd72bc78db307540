import errno
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from minihv.errors import ConfigurationError, InternalError
from minihv.trace import Event, TraceWriter, chrome_event

OUT = Event(4000, 1, 0, "exit", "IOIO", 0x100040, {"exit_info_1": 0xE90010})
SWITCH = Event(0, 1, 1, "world switch", "VMRUN", 0x100000)


def write(path: Path, *events: Event) -> str:
    with TraceWriter(path) as trace:
        for event in events:
            trace(event)
    return path.read_text()


def test_lines_are_one_object_each(tmp_path: Path) -> None:
    first, second = map(json.loads, write(tmp_path / "t.jsonl", SWITCH, OUT).splitlines())
    assert first == {
        "time_ns": 0, "partition": 1, "vp": 1, "kind": "world switch", "name": "VMRUN", "rip": 0x100000,
        "detail": {},
    }  # fmt: skip
    assert second["detail"] == {"exit_info_1": 0xE90010}


@pytest.mark.parametrize("events", [(), (OUT,), (SWITCH, OUT)])
def test_chrome_trace_is_one_object(tmp_path: Path, events: tuple[Event, ...]) -> None:
    whole = json.loads(write(tmp_path / "t.json", *events))
    assert whole == {"displayTimeUnit": "ns", "traceEvents": [chrome_event(event) for event in events]}


def test_chrome_event_is_an_instant_on_the_track_of_its_vp() -> None:
    assert chrome_event(OUT) == {
        "name": "IOIO", "cat": "exit", "ph": "i", "s": "t", "ts": 4.0, "pid": 1, "tid": 0,
        "args": {"rip": "0x100040", "exit_info_1": "0xe90010"},
    }  # fmt: skip


def interrupt(trace: TraceWriter) -> None:
    trace(OUT)
    raise KeyboardInterrupt


def test_trace_is_whole_whatever_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(KeyboardInterrupt), TraceWriter(path) as trace:
        interrupt(trace)
    assert len(json.loads(path.read_text())["traceEvents"]) == 1


def test_file_is_not_touched_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("precious")
    TraceWriter(path).__exit__(None, None, None)
    assert path.read_text() == "precious"


def test_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "t.json"
    with pytest.raises(ConfigurationError) as refused, TraceWriter(path):
        pass
    assert str(refused.value) == (
        f"A trace is written to a file that can be made, and {path} cannot (No such file or directory): "
        "choose another name."
    )


class FullDisk:
    """A file that takes no more."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    close = write


def fill_disk(trace: TraceWriter, events: list[Event]) -> None:
    assert trace._file
    trace._file.close()
    trace._file = FullDisk()  # type: ignore[assignment]
    for event in events:
        trace(event)


@pytest.mark.parametrize("events", [[], [OUT]], ids=["at the end", "while it runs"])
def test_disk_that_is_full_is_a_sentence(tmp_path: Path, events: list[Event]) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(ConfigurationError) as refused, TraceWriter(path) as trace:
        fill_disk(trace, events)
    assert str(refused.value) == (
        f"A trace must be written to its end, and {path} cannot be (No space left on device): "
        "free some space, or choose another place."
    )


def test_first_event_makes_the_file(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()
    with ExitStack() as stack:
        stack.push(trace)
        trace(OUT)
        trace.open()
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 1


def test_event_after_the_end_is_a_bug(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t.json") as trace:
        pass
    with pytest.raises(InternalError) as wrong:
        trace(OUT)
    assert str(wrong.value) == "An event came after the trace was closed."
