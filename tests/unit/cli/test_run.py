import json
import os
import signal
from pathlib import Path

import pytest
from command_line import CommandLine, GuestWriter
from elf_files import Elf

from minihv.cli.run import parse_size
from minihv.errors import ConfigurationError
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk

FOR_EVER = "ebfe"
HALTS, SHUTS_DOWN_WITH_3, TRIPLE_FAULTS = "faf4", "b003 e6f4", "0f0b"
READS_BEYOND_ITS_RAM = "48a1 0000d80300000000"
WAITS_FOR_AN_INTERRUPT = "fb f4"
PRINTS = "b0{:02x} e6e9"
COUNTERS = {
    "blocks", "exits", "exits_total", "tlb_fills", "walk_references", "interrupts", "exceptions",
    "hypercalls", "world_switches", "shadow_fills", "emulated_writes",
}  # fmt: skip


def prints(text: bytes) -> str:
    """Code that prints ``text`` and halts."""
    return "".join(PRINTS.format(byte) for byte in text) + HALTS


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 << 20), ("1G", 1 << 30), ("512k", 512 << 10), ("4096", 4096), ("2 MiB", 2 << 20)],
)
def test_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "64T", "64 x"])
def test_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_size(text)
    assert str(refused.value) == (
        f"A size is a number with K, M or G behind it, not {text!r}: write 64M or 1G."
    )


REFUSALS = {
    (
        "01_helo",
    ): "A guest must be a file or a built-in program, which '01_helo' is not, did you mean '01_hello'?",
    ("zzz",): "A guest must be a file or a built-in program, which 'zzz' is not; "
    "`minihv guests` lists them all.",
    ("./nothing",): "A guest must be a file or a built-in program, and no file is at './nothing': "
    "check the path, or choose one of `minihv guests`.",
    ("/",): "A guest image must be a file, which / is not; `minihv guests` lists the built-in ones.",
    ("1", "--memory", "0"): "A guest must have between 2 MiB and 8 GiB of memory, not 0x0 bytes; "
    "choose another --memory.",
    ("1", "--memory", "1M"): "A guest must have between 2 MiB and 8 GiB of memory, not 0x100000 bytes; "
    "choose another --memory.",
    ("1", "--memory", "99999G"): "A guest must have between 2 MiB and 8 GiB of memory, "
    "not 0x61a7c0000000 bytes; choose another --memory.",
    ("1", "--memory", "4097K"): "The memory of a guest must be a multiple of 0x1000 bytes, not 0x400400; "
    "choose another --memory.",
    ("1", "--memory", "much"): "A size is a number with K, M or G behind it, not 'much': write 64M or 1G.",
    ("1", "--append", "x" * 4048): "The arguments of a guest have at most 4,047 bytes, not 4,048; "
    "choose a shorter --append.",
    ("1", "--vps", "0"): "A guest must have between 1 and 32 VPs, not 0; choose another --vps.",
    ("1", "--vps", "-1"): "A guest must have between 1 and 32 VPs, not -1; choose another --vps.",
    ("1", "--vps", "65"): "A guest must have between 1 and 32 VPs, not 65; choose another --vps.",
    ("1", "--vps", "33"): "A guest must have between 1 and 32 VPs, not 33; choose another --vps.",
    ("1", "--lps", "0"): "A machine has 1 to 32 logical processors, not 0: choose --lps in that range.",
    ("1", "--lps", "33"): "A machine has 1 to 32 logical processors, not 33: choose --lps in that range.",
    ("1", "--paging", "foo"): "The paging mode must be one of slat, hardware, shadow, not 'foo'.",
    (
        "1",
        "--tlb",
        "64",
    ): "A TLB is so many sets of so many ways, and the caches of its walker if any, not '64': "
    "write 64x4, or 64x4,pdes=32,nested=64 (pdes, pdptes, pml4es, pml5es, nested).",
    ("1", "--tlb", "3x4"): "A TLB has a power of two of sets and at least one way, 0x100000 entries at most, "
    "not 3 sets of 4 ways: choose others.",
    ("1", "--policy", "foo"): "The policy of shadow paging must be one of trap, unsync, flush, not 'foo'.",
    ("1", "--policy", "flsh"): "The policy of shadow paging must be one of trap, unsync, flush, not 'flsh', "
    "did you mean 'flush'?",
    ("1", "--large-pages", "foo"): "Large pages of the guest are kept or split, not 'foo': "
    "write --large-pages keep.",
    ("1", "--large-pages", "splt"): "Large pages of the guest are kept or split, not 'splt', "
    "did you mean 'split'?",
    ("1", "--paging", "shadow", "--shadow-frames", "15"): "Shadow tables need at least 16 frames, not 15: "
    "allow more with --shadow-frames.",
    ("1", "--blocks", "0"): "A budget is at least one block, not 0: leave --blocks out for none.",
    ("1", "--blocks", "-5"): "A budget is at least one block, not -5: leave --blocks out for none.",
    (
        "1",
        "--no-parent",
        "--shutdown-after",
        "1",
    ): "It is the parent that asks a guest to shut down, and --no-parent leaves none: leave out one of both.",
    ("1", "--shutdown-after", "-1"): "A guest is asked to shut down after 0 to 1,000,000 seconds, not -1: "
    "choose --shutdown-after in that range.",
    ("1", "--shutdown-after", "nan"): "A guest is asked to shut down after 0 to 1,000,000 seconds, not nan: "
    "choose --shutdown-after in that range.",
    ("1", "--trace", "/no/x"): "A trace is written to a file that can be made, and /no/x cannot "
    "(No such file or directory): choose another name.",
    ("1", "--trace", "/"): "A trace is written to a file that can be made, and / cannot "
    "(Is a directory): choose another name.",
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.items(), ids=[" ".join(key) for key in REFUSALS])
def test_what_cannot_be_is_refused(minihv: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    done = minihv("run", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {sentence}\n")


def test_paging_mode_that_is_nearly_right_is_told_the_nearest(minihv: CommandLine) -> None:
    assert "did you mean 'hardware'?" in minihv("run", "1", "--paging", "hardwear").err


def test_unknown_core_is_refused(minihv: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIHV_CORE", "fast")
    done = minihv("run", "01_hello")
    sentence = "MINIHV_CORE must be native or reference, not 'fast': unset it for the fast default."
    assert (done.status, done.err) == (2, f"minihv: {sentence}\n")


def test_text_file_is_no_guest(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "guest.txt"
    path.write_text("#!/bin/sh\n")
    done = minihv("run", path)
    assert done.status == 2
    assert "guest.txt" in done.err and "ELF" in done.err


def test_image_of_another_machine_is_no_guest(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "arm.elf"
    path.write_bytes(Elf(machine=183).build())
    done = minihv("run", path)
    assert done.status == 2
    assert "arm.elf" in done.err and "183" in done.err


def test_unreadable_file_is_no_guest(
    minihv: CommandLine, guest: GuestWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = guest(HALTS)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert minihv("run", path).err == (
        f"minihv: A guest image must be readable, and {path} is not (Permission denied); "
        "check its permissions.\n"
    )


def test_trace_is_not_written_over_the_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    path = guest(HALTS)
    before = path.read_bytes()
    assert minihv("run", path, "--trace", path).err == (
        f"minihv: A trace may not be written over the guest that it tells of, and {path} is that guest: "
        "choose another name.\n"
    )
    assert path.read_bytes() == before


def test_trace_of_before_survives_a_refused_run(minihv: CommandLine, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text("precious")
    minihv("run", "nothing", "--trace", trace)
    assert trace.read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the host has no /dev/full")
def test_trace_that_does_not_fit_is_a_sentence(minihv: CommandLine) -> None:
    done = minihv("run", "01_hello", "--trace", "/dev/full")
    assert done.status == 2
    assert done.err == (
        "minihv: A trace must be written to its end, and /dev/full cannot be (No space left on device): "
        "free some space, or choose another place.\n"
    )


def test_json_has_exactly_its_fields(minihv: CommandLine) -> None:
    report = json.loads(minihv("run", "02_discovery", "--json").out)
    assert {"guest", "stopped", "console", "counters", "partitions"} <= set(report)
    assert set(report) - {"guest", "stopped", "console", "counters", "partitions"} == {
        "why",
        "exit_status",
        "tlb",
        "crash",
        "screen",
    }
    assert set(report["counters"]) == COUNTERS
    fields = {"id", "name", "stopped", "why", "exit_status", "counters"}
    assert [set(one) for one in report["partitions"]] == [fields, fields]
    assert [one["name"] for one in report["partitions"]] == ["parent", "02_discovery"]
    assert report["partitions"][1]["counters"] == report["counters"]


def test_json_is_all_that_is_printed(minihv: CommandLine) -> None:
    done = minihv("run", "01_hello", "--json")
    assert json.loads(done.out)["console"] == "Hello from ring 0 of a partition.\n"
    assert done.err == ""


def test_screen_of_a_guest_that_has_one_is_printed(minihv: CommandLine) -> None:
    lines = minihv("run", "29_chips").out.splitlines()
    at = lines.index("The screen")
    assert lines[at + 1 : at + 4] == [
        "  minihv: the chips of a PC",
        "  All have been used.",
        "Exits to ring -1",
    ]
    assert "The screen" not in minihv("run", "01_hello").out


def test_people_get_the_console_and_then_the_counts(minihv: CommandLine) -> None:
    lines = minihv("run", "01_hello").out.splitlines()
    assert lines[0] == "Hello from ring 0 of a partition."
    assert lines[2] == "01_hello: halted (every VP executed HLT with interrupts disabled)"
    counts = [line.split() for line in lines[3:]]
    assert ["IOIO", "34"] in counts and ["HLT", "1"] in counts and ["total", "35"] in counts


@pytest.mark.parametrize(
    ("code", "stopped", "status"),
    [
        (HALTS, "halted", 0),
        (SHUTS_DOWN_WITH_3, "shutdown", 1),
        ("b000 e6f4", "shutdown", 0),
        (TRIPLE_FAULTS, "triple_fault", 1),
        (READS_BEYOND_ITS_RAM, "stuck", 1),
        (WAITS_FOR_AN_INTERRUPT, "stuck", 1),
        (FOR_EVER, "budget", 0),
    ],
)
def test_end_of_the_guest_is_named_and_is_the_status(
    minihv: CommandLine, guest: GuestWriter, code: str, stopped: str, status: int
) -> None:
    done = minihv("run", guest(code), "--memory", "61M", "--blocks", "50000", "--json")
    assert (json.loads(done.out)["stopped"], done.status) == (stopped, status)


def test_budget_is_kept_to_the_block(minihv: CommandLine, guest: GuestWriter) -> None:
    report = json.loads(minihv("run", guest(FOR_EVER), "--no-parent", "--blocks", "12345", "--json").out)
    assert report["counters"]["blocks"] == 12345
    assert report["why"] == "the block budget is used up"


def test_budget_is_that_of_all_partitions(minihv: CommandLine, guest: GuestWriter) -> None:
    def blocks(budget: int) -> int:
        report = json.loads(minihv("run", guest(FOR_EVER), "--blocks", str(budget), "--json").out)
        return sum(int(one["counters"]["blocks"]) for one in report["partitions"])

    assert blocks(12345) - blocks(2345) == 10000


def test_guest_costs_the_same_exits_with_a_parent_and_alone(minihv: CommandLine) -> None:
    alone, child = (
        json.loads(minihv("run", "01_hello", how, "--json").out) for how in ("--no-parent", "--parent")
    )
    assert child["counters"] == alone["counters"]
    assert child["console"] == alone["console"]
    assert [len(one["partitions"]) for one in (alone, child)] == [1, 2]


def test_people_see_all_partitions_side_by_side(minihv: CommandLine) -> None:
    lines = minihv("run", "01_hello", "--plain").out.splitlines()
    at = lines.index("All partitions")
    assert lines[at + 1].split() == ["partition", "state", "blocks", "exits", "hypercalls", "interrupts"]
    assert lines[at + 2].split()[:3] == ["1", "parent", "idle"]
    assert lines[at + 3].split() == ["2", "01_hello", "halted", "77", "35", "0", "0"]


def test_guest_is_asked_to_shut_down_after_a_while(minihv: CommandLine) -> None:
    done = minihv("run", "21_integration", "--shutdown-after", "7")
    assert "ok      the host asked for a shutdown\n" in done.out
    assert "21_integration: shutdown, status 0 (the guest wrote to the shutdown port)" in done.out
    assert done.status == 0


def test_guest_that_does_not_listen_is_turned_off(minihv: CommandLine, guest: GuestWriter) -> None:
    report = json.loads(minihv("run", guest(FOR_EVER), "--shutdown-after", "0.01", "--json").out)
    assert (report["stopped"], report["exit_status"]) == ("shutdown", 1)
    assert report["why"] == (
        "it was turned off after 0.01 s, because the guest does not listen to the shutdown service"
    )


def test_guest_that_ended_before_it_was_asked_is_not_asked(minihv: CommandLine) -> None:
    report = json.loads(minihv("run", "01_hello", "--shutdown-after", "7", "--json").out)
    assert (report["stopped"], report["exit_status"]) == ("halted", None)


def test_guest_that_waits_for_its_next_heartbeat_used_up_a_budget(minihv: CommandLine) -> None:
    report = json.loads(minihv("run", "21_integration", "--blocks", "300000", "--json").out)
    assert (report["stopped"], report["why"]) == ("budget", "the block budget is used up")


def test_last_line_of_the_console_gets_an_end(minihv: CommandLine, guest: GuestWriter) -> None:
    assert minihv("run", guest(prints(b"no end"))).out.startswith("no end\n\nguest.elf: halted")


def test_letters_of_several_bytes_stay_whole(minihv: CommandLine, guest: GuestWriter) -> None:
    path = guest(prints("é→\n".encode()))
    assert minihv("run", path).out.startswith("é→\n")
    assert json.loads(minihv("run", path, "--json").out)["console"] == "é→\n"


def test_guest_has_no_power_over_the_terminal(minihv: CommandLine, guest: GuestWriter) -> None:
    assert minihv("run", guest(prints(b"\x1b[2J\xff\n"))).out.startswith("\\x1b[2J\ufffd\n")


def test_console_is_shown_while_the_guest_runs(minihv: CommandLine, guest: GuestWriter) -> None:
    code = PRINTS.format(ord("A")) + FOR_EVER
    process = minihv.start("run", guest(code))
    assert process.stdout
    assert process.stdout.read(1) == "A"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()


@pytest.mark.parametrize(
    ("plain", "environment"), [((), {"NO_COLOR": "1"}), (("--plain",), {}), ((), {"TERM": "dumb"})]
)
def test_terminal_that_wants_no_colour_gets_none(
    minihv: CommandLine, plain: tuple[str, ...], environment: dict[str, str]
) -> None:
    shown = minihv.on_terminal("run", "02_discovery", *plain, **environment)
    assert "29 held" in shown
    assert "\x1b" not in shown


def test_terminal_gets_colour(minihv: CommandLine) -> None:
    assert "\x1b[1m" in minihv.on_terminal("run", "01_hello")


def test_terminal_sees_how_far_a_long_run_is(minihv: CommandLine, guest: GuestWriter) -> None:
    shown = minihv.on_terminal("run", guest(FOR_EVER), "--no-parent", "--blocks", "5000000")
    assert "2,000,000 of 5,000,000 blocks" in shown


PRINTS_ITS_ARGUMENTS = "8d7730 ac 84c0 7404 e6e9 ebf7 e6f4"
"""From 48 bytes behind RDI up to a zero, which is its status."""


@pytest.mark.parametrize("alone", [(), ("--no-parent",), ("--architecture", "monolithic")])
def test_guest_finds_its_arguments(minihv: CommandLine, guest: GuestWriter, alone: tuple[str, ...]) -> None:
    done = minihv("run", guest(PRINTS_ITS_ARGUMENTS), "--append", "scsi Ä/b", "--json", *alone)
    assert (done.status, json.loads(done.out)["console"]) == (0, "scsi Ä/b")
    assert json.loads(minihv("run", guest(PRINTS_ITS_ARGUMENTS), "--json", *alone).out)["console"] == ""


def test_guest_has_the_disks_that_it_is_given(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 20)
    done = minihv("run", "24_ide", "--disk", f"{path}:ide", "--json")
    assert done.status == 0 and "11 held, 0 failed" in json.loads(done.out)["console"]
    with open_disk(path) as disk:
        assert disk.next_data(0) == 0


def test_guest_has_a_disk_behind_vmbus(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 20)
    done = minihv("run", "25_scsi", "--disk", f"{path}:scsi", "--disk-limits", "shipped", "--json")
    assert done.status == 0 and "15 held, 0 failed" in json.loads(done.out)["console"]


def test_limits_of_disks_that_nobody_knows_are_refused(minihv: CommandLine) -> None:
    for name, end in (("shiped", ", did you mean 'shipped'?"), ("many", ": write --disk-limits shipped.")):
        done = minihv("run", "25_scsi", "--disk-limits", name)
        said = f"minihv: Limits of disks are announced or shipped, not {name!r}{end}\n"
        assert (done.status, done.err) == (2, said)


def test_disk_without_a_parent_is_refused(minihv: CommandLine, tmp_path: Path) -> None:
    done = minihv("run", "24_ide", "--no-parent", "--disk", tmp_path / "a.vhd")
    assert (done.status, done.err) == (
        2,
        "minihv: It is the parent that has the disks of its children, and --no-parent leaves none: leave out "
        "one of both.\n",
    )


def test_disk_that_is_not_there_is_refused(minihv: CommandLine, tmp_path: Path) -> None:
    done = minihv("run", "24_ide", "--disk", tmp_path / "none.vhd")
    assert done.status == 2 and "cannot (No such file or directory)" in done.err


def test_guest_runs_in_both_architectures(minihv: CommandLine) -> None:
    for architecture, partitions in (("microkernel", 2), ("monolithic", 1)):
        done = minihv("run", "19_hello_vmbus", "--architecture", architecture, "--json")
        assert done.status == 0 and len(json.loads(done.out)["partitions"]) == partitions


def test_crash_ends_with_status_1_and_says_who_died(minihv: CommandLine) -> None:
    done = minihv("run", "20_echo", "--architecture", "monolithic", "--crash", "echo@5", "--plain")
    assert done.status == 1
    assert "died: ring -1, 20_echo; workers started anew: 0\nwent on: nobody\n" in done.out


def test_architecture_that_does_not_exist_is_refused(minihv: CommandLine) -> None:
    done = minihv("run", "20_echo", "--architecture", "hybrid")
    assert (done.status, done.err) == (
        2,
        "minihv: An architecture is microkernel or monolithic, not 'hybrid': write --architecture "
        "monolithic.\n",
    )


@pytest.mark.parametrize("option", [("--architecture", "monolithic"), ("--crash", "echo@5")])
def test_architecture_and_crash_without_devices_are_refused(
    minihv: CommandLine, option: tuple[str, str]
) -> None:
    done = minihv("run", "20_echo", "--no-parent", *option)
    assert (done.status, done.err) == (
        2,
        "minihv: An architecture says who has the devices of a guest, and --no-parent leaves it without any: "
        "leave out one of both.\n",
    )
