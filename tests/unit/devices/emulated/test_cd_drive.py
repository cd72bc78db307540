"""What a CD drive does with packets: reads, senses, the tray, and what it never does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cd_hosts import READY, blocks, cdb, iso, read10
from hypothesis import given
from hypothesis import strategies as st

from minihv.devices.emulated.cd_drive import (
    CHANGED,
    EMPTY,
    INVALID,
    LOCKED,
    NO_SENSE,
    OUTSIDE,
    PROTECTED,
    UNKNOWN,
    WAS_RESET,
    Blocks,
    CdDrive,
    Reply,
    Sense,
)
from minihv.storage.opening import open_disk

EJECT, LOAD, LOCK, UNLOCK = cdb(0x1B, 0, 0, 0, 2), cdb(0x1B, 0, 0, 0, 3), cdb(0x1E, 0, 0, 0, 1), cdb(0x1E)
SENSE, EVENT = cdb(3, 0, 0, 0, 18), cdb(0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[CdDrive]:
    with open_disk(iso(tmp_path / "a.iso"), kind="raw") as disk:
        made = CdDrive(disk)
        assert made.execute(READY) == WAS_RESET
        yield made


def said(drive: CdDrive, packet: bytes) -> bytes:
    answer = drive.execute(packet)
    assert isinstance(answer, Reply)
    return answer.data


def test_reads_name_blocks_that_there_are(drive: CdDrive) -> None:
    assert drive.execute(read10(3, 17)) == Blocks(3, 17)
    assert drive.execute(cdb(0xA8, 0, 0, 0, 0, 3, 0, 0, 0, 17)) == Blocks(3, 17)
    assert drive.execute(read10(20, 0)) == Blocks(20, 0)
    for first, count in ((20, 1), (3, 18), (0xFFFF_FFFF, 1)):
        assert drive.execute(read10(first, count)) == OUTSIDE
    found = bytearray(4096)
    assert drive.read(3, memoryview(found)) and found == blocks(3, 2)


@pytest.mark.parametrize("opcode", [0x2A, 0xAA, 0x2E, 0x04, 0xA1])
def test_whatever_writes_is_refused(drive: CdDrive, opcode: int) -> None:
    assert drive.execute(cdb(opcode, 0, 0, 0, 0, 0, 0, 0, 1)) == PROTECTED


def test_sense_is_told_once(drive: CdDrive) -> None:
    drive.execute(cdb(0xFF))
    assert drive.sense == UNKNOWN
    assert said(drive, SENSE) == bytes((0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0))
    assert said(drive, SENSE)[2:14] == bytes(5) + b"\x0a" + bytes(6)
    assert drive.sense == NO_SENSE and len(said(drive, cdb(3, 0, 0, 0, 4))) == 4


def test_reset_is_told_before_anything_else_but_what_it_is(drive: CdDrive) -> None:
    drive.reset()
    assert len(said(drive, cdb(0x12, 0, 0, 0, 36))) == 36 and len(said(drive, EVENT)) == 8
    assert said(drive, SENSE)[12:14] == b"\x29\0" and drive.execute(READY) == Reply()


def test_disc_that_is_ejected_is_not_there_until_it_is_put_back(drive: CdDrive) -> None:
    assert said(drive, EVENT)[4:6] == bytes((2, 2)) and said(drive, EVENT)[4:6] == bytes((0, 2))
    assert drive.execute(EJECT) == Reply()
    for packet in (READY, read10(0, 1), cdb(0x25), cdb(0x43, 0, 0, 0, 0, 0, 0, 0, 20)):
        assert drive.execute(packet) == EMPTY
    assert said(drive, EVENT)[4:6] == bytes((3, 1))
    assert said(drive, cdb(0x46, 0, 0, 0, 0, 0, 0, 0, 8))[6:] == b"\0\0"
    assert drive.execute(LOAD) == Reply() and drive.execute(READY) == CHANGED
    assert said(drive, EVENT)[4:6] == bytes((2, 2)) and drive.execute(READY) == Reply()


def test_tray_that_is_locked_stays_closed(drive: CdDrive) -> None:
    drive.execute(LOCK)
    assert drive.execute(EJECT) == LOCKED and drive.execute(READY) == Reply()
    drive.execute(UNLOCK)
    assert drive.execute(EJECT) == Reply() and drive.execute(READY) == EMPTY


@pytest.mark.parametrize(
    "packet",
    [
        cdb(0x12, 1, 0x80, 0, 36),
        cdb(0x43, 0, 5, 0, 0, 0, 0, 0, 20),
        cdb(0x43, 0, 0, 0, 0, 0, 2, 0, 20),
        cdb(0x5A, 0, 0x08, 0, 0, 0, 0, 0, 20),
        cdb(0x46, 3, 0, 0, 0, 0, 0, 0, 20),
        cdb(0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8),
    ],
    ids=["vital data", "form", "track", "page", "features", "event by interrupt"],
)
def test_field_that_cannot_be_is_said_to_be_invalid(drive: CdDrive, packet: bytes) -> None:
    assert drive.execute(packet) == INVALID


def test_answers_are_as_long_as_the_host_allows(drive: CdDrive) -> None:
    for packet in (cdb(0x12), cdb(0x43), cdb(0x5A, 0, 0x3F), cdb(0x46), cdb(0x4A, 1, 0, 0, 0x10)):
        assert said(drive, packet) == b""
    assert said(drive, cdb(0x25)) == bytes((0, 0, 0, 19, 0, 0, 8, 0))


@given(packets=st.lists(st.binary(min_size=12, max_size=12), max_size=30))
def test_any_packet_has_an_answer(tmp_path_factory: pytest.TempPathFactory, packets: list[bytes]) -> None:
    with open_disk(iso(tmp_path_factory.mktemp("cd") / "a.iso"), kind="raw") as disk:
        drive = CdDrive(disk)
        for packet in packets:
            answer = drive.execute(packet)
            assert isinstance(answer, Reply | Blocks | Sense)
            assert not isinstance(answer, Blocks) or answer.first + answer.count <= 20
