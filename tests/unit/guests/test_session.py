from pathlib import Path

import pytest
from builders import without_shadow
from elf_files import Elf, Part

from minihv.errors import ConfigurationError
from minihv.guests.boot import INFO_GPA, MAGIC
from minihv.guests.session import DEFAULT_MEMORY, GuestSession, find_image
from minihv.machine.processor import Core, PagingMode
from minihv.terms import MIB
from minihv.trace import Event

HALTS, LOOPS, RAISES, WAITS = "faf4", "ebfe", "0f0b", "fbf4"
READS_BEYOND, SHUTS_DOWN = "48a1 0000d80300000000", "b007 e6f4"
CALLS_CPUID_TWICE = "0fa2 0fa2 faf4"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MINIHV_CORE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image(folder: Path, code: str) -> str:
    path = folder / "guest.elf"
    path.write_bytes(Elf(parts=[Part(content=bytes.fromhex(code))]).build())
    return str(path)


def test_built_in_program_is_found_by_any_of_its_names(folder: Path) -> None:
    assert {find_image(name)[0] for name in ("07_spin_lock", "spin_lock", "7", "07")} == {"07_spin_lock"}


def test_built_in_program_has_the_machine_it_is_written_for(folder: Path) -> None:
    with GuestSession("07_spin_lock") as session:
        assert len(session.partition.vps) == 2


def test_file_is_found_by_its_path(folder: Path) -> None:
    path = image(folder, HALTS)
    assert find_image(path)[0] == find_image("guest.elf")[0] == "guest.elf"
    assert find_image(path)[2:] == (1, DEFAULT_MEMORY)


def test_folder_with_the_name_of_a_program_does_not_hide_it(folder: Path) -> None:
    (folder / "01_hello").mkdir()
    assert find_image("01_hello")[0] == "01_hello"


@pytest.mark.parametrize("name", ["./nothing", "nothing.elf"])
def test_path_without_a_file_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        find_image(name)
    assert str(refused.value) == (
        f"A guest must be a file or a built-in program, and no file is at {name!r}: check the path, "
        "or choose one of `minihv guests`."
    )


@pytest.mark.parametrize("size", [0, 1 * MIB, 1 << 60])
def test_absurd_memory_is_refused_before_a_machine_is_made(folder: Path, size: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        GuestSession("01_hello", memory_bytes=size)
    assert str(refused.value) == (
        f"A guest must have between 2 MiB and 8 GiB of memory, not {size:#x} bytes; choose another --memory."
    )


@pytest.mark.parametrize("vps", [0, -1, 33, 65])
def test_absurd_number_of_processors_is_refused(folder: Path, vps: int) -> None:
    with pytest.raises(ConfigurationError, match=f"between 1 and 32 VPs, not {vps}; choose another --vps"):
        GuestSession("01_hello", vps=vps)


def test_machine_without_logical_processors_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="1 to 32 logical processors, not 0"):
        GuestSession("01_hello", lps=0)


def test_image_that_does_not_fit_is_refused(folder: Path) -> None:
    path = folder / "big.elf"
    path.write_bytes(Elf(parts=[Part(memory_bytes=4 * MIB)]).build())
    with pytest.raises(ConfigurationError, match=r"Segment 0 of big\.elf must end within"):
        GuestSession(str(path), memory_bytes=2 * MIB)


def test_guest_enters_as_the_boot_contract_says(folder: Path) -> None:
    with GuestSession(image(folder, HALTS), vps=2) as session:
        first, second = session.partition.vps
        assert first.read("rip") == second.read("rip") == session.image.entry
        assert (first.read("rsi"), second.read("rsi")) == (0, 1)
        assert session.partition.gpa_space.read(INFO_GPA, 8) == MAGIC


@pytest.mark.parametrize(
    ("code", "stopped", "why"),
    [
        (HALTS, "halted", "every VP executed HLT with interrupts disabled"),
        (LOOPS, "budget", "the block budget is used up"),
        (SHUTS_DOWN, "shutdown", "the guest wrote to the shutdown port"),
        (WAITS, "stuck", "every VP waits for an interrupt, and nothing will send one"),
        (READS_BEYOND, "stuck", "VP 0 read GPA 0x3d80000, where its partition has no memory"),
        (RAISES, "triple_fault", "VP 0 met a third fault on its way to the double-fault handler"),
    ],
)
def test_end_of_a_run_has_a_word_and_a_sentence(folder: Path, code: str, stopped: str, why: str) -> None:
    with GuestSession(image(folder, code), memory_bytes=61 * MIB) as session:
        report = session.run(1000)
    assert report.stopped == stopped
    assert report.why.startswith(why)
    assert report.exit_status == (7 if stopped == "shutdown" else None)


def test_report_has_every_partition_and_their_sum(folder: Path) -> None:
    with GuestSession(image(folder, CALLS_CPUID_TWICE)) as session:
        report = session.run()
    assert report.counters.exits == {"CPUID": 2, "HLT": 1}
    assert report.counters.exits_total == 3
    assert [one.counters for one in report.partitions] == [report.counters]


def test_counters_of_several_processors_are_added(folder: Path) -> None:
    with GuestSession(image(folder, CALLS_CPUID_TWICE), vps=3) as session:
        assert session.run().counters.exits == {"CPUID": 6, "HLT": 3}


def test_run_in_parts_is_a_run_in_one(folder: Path) -> None:
    with GuestSession("02_discovery") as session:
        whole = session.run()
    with GuestSession("02_discovery") as session:
        while session.run(100).stopped == "budget":
            pass
        assert session.report() == whole


def test_progress_is_told_between_rounds(folder: Path) -> None:
    told: list[int] = []
    with GuestSession(image(folder, LOOPS)) as session:
        session.run(2_500_000, told.append)
    assert told == sorted(told) and told[-1] == 2_500_000 and len(told) > 1


@pytest.mark.parametrize("paging", list(PagingMode))
@pytest.mark.parametrize("core", list(Core))
def test_mode_changes_neither_console_nor_exits(folder: Path, paging: PagingMode, core: Core) -> None:
    with GuestSession("01_hello") as session:
        expected = session.run()
    with GuestSession("01_hello", paging=paging, core=core) as session:
        report = session.run()
    assert (report.console, without_shadow(report.counters.exits)) == (
        expected.console,
        expected.counters.exits,
    )


def test_trace_tells_every_exit_in_order(folder: Path) -> None:
    events: list[Event] = []
    with GuestSession("01_hello", trace=events.append) as session:
        report = session.run()
    exits = [event for event in events if event.kind == "exit"]
    assert len(exits) == report.counters.exits_total
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    assert events[0].name == "VMRUN"


def test_same_run_has_the_same_trace(folder: Path) -> None:
    traces: list[list[Event]] = [[], []]
    for trace in traces:
        with GuestSession("02_discovery", trace=trace.append) as session:
            session.run()
    assert traces[0] == traces[1]
