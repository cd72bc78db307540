"""A file of the host: bytes at places, one writer or many readers, and failures as values."""

import errno
import os
from pathlib import Path

import pytest

from minihv.errors import ConfigurationError
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(bytes(range(256)) * 4)
    return made


def test_bytes_are_where_they_were_written(path: Path) -> None:
    file = HostFile(path, writable=True)
    into = bytearray(4)
    assert file.write(1022, b"abcd") is Outcome.DONE and file.byte_count == 1026
    assert file.read(1022, into) is Outcome.DONE and into == b"abcd"
    assert file.flush() is Outcome.DONE
    file.close()


def test_file_that_ends_before_the_request_does_is_damaged(path: Path) -> None:
    file = HostFile(path, writable=False)
    assert file.read(1020, bytearray(8)) is Outcome.MEDIUM_ERROR
    file.close()


@pytest.mark.parametrize(
    ("number", "outcome"), [(errno.ENOSPC, Outcome.NO_SPACE), (errno.EIO, Outcome.MEDIUM_ERROR)]
)
def test_failure_of_the_host_is_a_value(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, outcome: Outcome
) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    file = HostFile(path, writable=True)
    for name in ("pwrite", "fdatasync", "ftruncate"):
        monkeypatch.setattr(os, name, fails)
    assert file.write(0, b"x") is file.resize(5) is file.flush() is outcome
    monkeypatch.setattr(os, "preadv", fails)
    assert file.read(0, bytearray(1)) is Outcome.MEDIUM_ERROR
    file.close()


def test_place_that_no_file_reaches_fails_as_any_other(path: Path) -> None:
    file = HostFile(path, writable=True)
    assert file.read(1 << 63, bytearray(8)) is Outcome.MEDIUM_ERROR
    assert file.write(1 << 63, b"x") is Outcome.NO_SPACE
    file.close()


def test_short_reads_and_writes_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv, pwrite = os.preadv, os.pwrite
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:3]], at))
    monkeypatch.setattr(os, "pwrite", lambda fd, view, at: pwrite(fd, view[:3], at))
    file, into = HostFile(path, writable=True), bytearray(10)
    assert file.write(5, b"0123456789") is Outcome.DONE
    assert file.read(5, into) is Outcome.DONE and into == b"0123456789"
    file.close()


def test_writer_keeps_everybody_else_out_and_readers_each_other_in(path: Path) -> None:
    writer = HostFile(path, writable=True)
    for writable in (True, False):
        with pytest.raises(ConfigurationError) as refused:
            HostFile(path, writable=writable)
        assert str(refused.value) == (
            f"A disk has one writer or any number of readers, and {path} is in use by another process or "
            "disk: detach it there first."
        )
    writer.close()
    readers = [HostFile(path, writable=False) for _ in range(3)]
    with pytest.raises(ConfigurationError):
        HostFile(path, writable=True)
    for reader in readers:
        reader.close()
    HostFile(path, writable=True).close()


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        HostFile(tmp_path / "none", writable=True)
    assert str(refused.value) == (
        f"A disk is kept in a file that can be written, and {tmp_path / 'none'} cannot (No such file or "
        "directory): choose another one, or change its permissions."
    )


@pytest.mark.parametrize("holes", [True, False])
def test_zeroed_bytes_read_as_zeros(path: Path, monkeypatch: pytest.MonkeyPatch, holes: bool) -> None:
    if not holes:
        monkeypatch.setattr("minihv.storage.host_file.punch_hole", lambda *_: False)
    file = HostFile(path, writable=True)
    assert file.zero(100, 200) is Outcome.DONE
    file.close()
    assert path.read_bytes() == (bytes(range(100)) + bytes(200) + (bytes(range(256)) * 4)[300:])


def test_next_data_is_behind_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes(b"")
    os.truncate(path, 1 << 20)
    with path.open("r+b") as opened:
        opened.seek(512 << 10)
        opened.write(b"x")
    file = HostFile(path, writable=False)
    assert file.next_data(0) <= 512 << 10 and file.next_data(600 << 10) in (600 << 10, 1 << 20)
    file.close()
