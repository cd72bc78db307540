"""A guest under load, whose disks come and go: nothing is lost, and it hears of each."""

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pytest
from images import content
from written_disks import words_behind

from minihv.errors import ConfigurationError
from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.storage.checking import check
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk

DISK_BYTES, PLACES, PLACE_BYTES = 1 << 20, 16, 2048
STEP, WORK, MOST_STEPS = 20_000, 120_000, 100
"""In blocks of the whole machine."""
TIMES = 20


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.vhd" for name in "abc"]
    for path in paths:
        make_dynamic(path, DISK_BYTES)
    return paths


@pytest.fixture
def session(images: list[Path]) -> Iterator[ParentSession]:
    """The guest works on the first image."""
    with ParentSession("27_hot_plug", disks=[DiskOption(images[0], "scsi")]) as made:
        made.shut_down_after(10)
        until(made, "came    controller 0, LUN 0")
        yield made


def until(session: ParentSession, text: str, times: int = 1) -> None:
    """Runs until the guest has said ``text`` so often, and a little longer, in which it works."""
    for _ in range(MOST_STEPS):
        console = session.partition.console
        if console.count(text.encode()) >= times and console.endswith(b"\n"):
            break
        session.run(STEP)
    else:
        pytest.fail(session.report().console)
    session.run(WORK)


def end(session: ParentSession) -> str:
    """What the guest has said when it was asked to shut down; nothing that it expects failed."""
    report = session.run()
    assert (report.stopped, report.exit_status) == ("shutdown", 0), report.console
    return report.console


def words(seed: int) -> bytes:
    """What a place holds whose first word is ``seed``."""
    made = chain([seed], islice(words_behind(seed), PLACE_BYTES // 4 - 1))
    return b"".join(word.to_bytes(4, "little") for word in made)


def written_places(path: Path) -> int:
    """How many places were written, each as a whole; the image is sound."""
    data, count = content(path), 0
    for at in range(0, PLACES * PLACE_BYTES, PLACE_BYTES):
        place = data[at : at + PLACE_BYTES]
        if any(place):
            assert place == words(int.from_bytes(place[:4], "little"))
            count += 1
    assert check(path) == []
    return count


def test_disk_comes_and_goes_under_load_and_every_write_is_whole(
    session: ParentSession, images: list[Path]
) -> None:
    for number in range(1, TIMES + 1):
        assert str(session.attach_disk(DiskOption(images[1], "scsi"))) == "SCSI controller 0, LUN 1"
        until(session, "came    controller 0, LUN 1", number)
        session.detach_disk(images[1])
        assert written_places(images[1]) > 0
        until(session, "went    controller 0, LUN 1", number)
    console = end(session)
    assert len(re.findall(r"came    controller 0, LUN 1: 2048 sectors", console)) == TIMES
    assert len(re.findall(r"went    controller 0, LUN 1 after [1-9]\d* rounds", console)) == TIMES
    assert f"{TIMES + 1} came, {TIMES} went; {2 * TIMES} notices, " in console
    session.close()
    assert written_places(images[0]) == PLACES


def test_disks_that_stay_answer_once_by_a_unit_attention(session: ParentSession, images: list[Path]) -> None:
    session.attach_disk(DiskOption(images[1], "scsi"))
    until(session, "came    controller 0, LUN 1")
    assert "; 1 notices, 1 unit attentions, 0 requests too late; " in end(session)


def test_disk_that_takes_the_place_of_another_gets_none_of_its_writes(
    session: ParentSession, images: list[Path]
) -> None:
    for number, path in enumerate((images[1], images[2], images[1], images[2]), 1):
        assert session.attach_disk(DiskOption(path, "scsi")).place == 1
        until(session, "came    controller 0, LUN 1", number)
        session.detach_disk(path)  # and the next one comes before the guest runs again
    assert end(session).count("went    controller 0, LUN 1") == 4
    assert written_places(images[1]) > 0 and written_places(images[2]) > 0


def test_controller_that_did_not_exist_is_a_new_offer_and_stays(
    session: ParentSession, images: list[Path]
) -> None:
    for number in (1, 2):
        assert str(session.attach_disk(DiskOption(images[1], "scsi2"))) == "SCSI controller 2, LUN 0"
        until(session, "came    controller 2, LUN 0", number)
        session.detach_disk(images[1])
        until(session, "went    controller 2, LUN 0", number)
    assert end(session).count("offered controller 2") == 1


def test_disk_of_ide_neither_comes_nor_goes(images: list[Path]) -> None:
    with ParentSession("27_hot_plug", disks=[DiskOption(images[0])]) as session:
        session.run(STEP)
        with pytest.raises(ConfigurationError) as refused:
            session.attach_disk(DiskOption(images[1]))
        assert str(refused.value) == (
            "IDE has no hot plug, and the guest runs: attach the disk to SCSI, or give it to the guest "
            "when it starts."
        )
        with pytest.raises(ConfigurationError) as refused:
            session.detach_disk(images[0])
        assert str(refused.value) == (
            f"IDE has no hot plug, and {images[0]} is at IDE channel 0, device 0: end the guest first, or "
            "use SCSI for disks that come and go."
        )
    open_disk(images[1], writable=True).close()


def test_disk_is_known_by_whatever_name_it_has(
    session: ParentSession, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(images[1])
    session.attach_disk(DiskOption(Path("b.vhd"), "scsi"))
    assert session.detach_disk(tmp_path / "link").place == 1


@pytest.mark.parametrize("paging", [PagingMode.SHADOW, PagingMode.HARDWARE], ids=lambda mode: mode.value)
def test_same_changes_at_the_same_blocks_are_the_same_run(images: list[Path], paging: PagingMode) -> None:
    consoles = [run_with_changes(images[1], mode) for mode in (PagingMode.SLAT, paging)]
    assert consoles[0] == consoles[1]
    assert "1 came, 1 went" in consoles[0]


def run_with_changes(path: Path, paging: PagingMode) -> str:
    """A guest that idles gets a disk and loses it."""
    path.unlink()
    make_dynamic(path, DISK_BYTES)
    with ParentSession("27_hot_plug", paging=paging) as session:
        session.shut_down_after(40)
        until(session, "Waiting for disks")
        session.attach_disk(DiskOption(path, "scsi"))
        until(session, "came    controller 0, LUN 0")
        session.detach_disk(path)
        return end(session)
