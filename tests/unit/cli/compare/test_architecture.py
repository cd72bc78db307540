"""``minihv compare architecture``: both run, and the verdict is made of what is counted."""

import json
from pathlib import Path

import pytest
from command_line import CommandLine

from minihv.cli.compare import lines_of_code
from minihv.cli.compare.architecture import Run, alive, costs, sizes, who_dies
from minihv.cli.compare.blast_radius import Blast
from minihv.guests.session import CrashReport


def run(architecture: str, seconds: float, switches: int) -> Run:
    return Run(
        guest="guest",
        architecture=architecture,
        stopped="shutdown",
        exit_status=0,
        console="",
        exits=9,
        intercepts=4,
        messages=4,
        world_switches=switches,
        ring_changes=8,
        hypercalls=3,
        blocks_of_child=100,
        blocks_of_parent=50,
        seconds=seconds,
    )


def test_verdict_says_what_was_counted_and_who_was_faster() -> None:
    (sentence,) = costs([run("microkernel", 3.0, 1000), run("monolithic", 1.0, 1)])
    assert sentence == (
        "guest: the microkernel takes 1,000 world switches and 8 ring changes of the parent, the monolith "
        "1 and 8; the monolith was 3.0 times as fast here."
    )


def test_verdict_of_a_crash_says_who_is_alive() -> None:
    crash = CrashReport(device="ide", at=1, operations=1, ring=3, restarts=1, went_on=["parent", "child 1"])
    blast = Blast(architecture="microkernel", crash=crash, finished=["child 1"])
    assert alive(blast) == "1 of 3"
    assert list(who_dies([blast])) == [
        "A crash of ide in ring 3 of the parent (microkernel) leaves 1 of 3 children alive, 1 of which "
        "end as they wanted to; workers started anew: 1."
    ]


def test_verdict_says_whether_c_was_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> str:
        inside = lines_of_code.lines_in_ring_minus_1()
        micro, mono = (sum(parts.values()) for parts in lines_of_code.deadly_lines().values())
        return (
            f"Ring -1 is {inside['microkernel']:,} lines as a microkernel and {inside['monolithic']:,} as a "
            f"monolith; with ring 0 of the parent, {micro:,} lines of a microkernel can end every child, "
            f"against {mono:,}"
        )

    everything = counted()
    assert list(sizes()) == [f"{everything}."]
    monkeypatch.setattr(lines_of_code, "NATIVE", tmp_path)
    assert counted() != everything
    assert list(sizes()) == [
        f"{counted()}; only Python was counted, since the sources in C are not installed: use a checkout to "
        "count both."
    ]


def test_both_architectures_run_and_are_told(minihv: CommandLine) -> None:
    done = minihv("compare", "architecture", "25_scsi", "--rounds", "1", "--json")
    found = json.loads(done.out)
    micro, mono = found["runs"]
    assert done.status == 0 and micro["console"] == mono["console"]
    assert micro["world_switches"] > 20 and mono["world_switches"] == 1
    assert micro["blocks_of_parent"] > 1000 and mono["blocks_of_parent"] == mono["ring_changes"] == 0
    assert [len(one["crash"]["went_on"]) for one in found["blasts"]] == [4, 0, 0, 0]
    assert len(found["verdict"]) == 6


@pytest.mark.parametrize("rounds", [0, -1])
def test_no_rounds_are_refused(minihv: CommandLine, rounds: int) -> None:
    done = minihv("compare", "architecture", "--rounds", str(rounds))
    assert (done.status, done.err) == (
        2,
        f"minihv: A comparison takes at least one round, not {rounds}: leave --rounds out for 3.\n",
    )
