"""A recorder runs a guest in intervals, chosen or found, and stops with it."""

from pathlib import Path

import pytest
from command_line import GuestWriter

from minihv.cli.dirty.recorder import FIRST_EVERY, MOST_INTERVALS, Recorder
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession

FOR_EVER = "ebfe"
STRIDES = "48 ba 0000200000000000 c60201 4881c200100000 ebf4"
"""Writes a byte to page after page from GPA 0x200000 on: a block each."""


def session_of(guest: Path) -> GuestSession:
    """``guest`` with 4 MiB of memory."""
    return GuestSession(str(guest), memory_bytes=4 << 20)


def test_intervals_have_the_length_that_was_asked_for(guest: GuestWriter) -> None:
    with session_of(guest(FOR_EVER)) as session:
        drawn = Recorder(session, 30).run(100)
    assert [one.end for one in drawn.intervals] == [30, 60, 90, 100]
    assert (drawn.every, drawn.stopped) == (30, "budget")


def test_each_interval_has_the_pages_that_were_written_in_it(guest: GuestWriter) -> None:
    with session_of(guest(STRIDES)) as session:
        drawn = Recorder(session, 10).run(40)
    found = [[gpn - 512 for gpn in one.written.gpns() if gpn >= 512] for one in drawn.intervals]
    assert found == [list(range(begin, begin + 10)) for begin in (0, 10, 20, 30)]


def test_run_ends_with_the_guest(guest: GuestWriter) -> None:
    with session_of(guest("faf4")) as session:
        drawn = Recorder(session, 30).run()
    assert [one.end for one in drawn.intervals] == [1] and drawn.stopped == "halted"


def test_length_is_found_where_none_was_asked_for(guest: GuestWriter) -> None:
    blocks = 5 * MOST_INTERVALS * FIRST_EVERY // 2
    with session_of(guest(FOR_EVER)) as session:
        drawn = Recorder(session).run(blocks)
    assert drawn.every == 4 * FIRST_EVERY
    assert [one.end for one in drawn.intervals] == list(range(drawn.every, blocks + 1, drawn.every))


def test_intervals_that_become_longer_lose_no_page(guest: GuestWriter) -> None:
    with session_of(guest(STRIDES)) as session:
        recorder = Recorder(session)
        recorder.map.every = 4
        drawn = recorder.run(500)
    assert drawn.every == 16
    assert {gpn for gpn in drawn.written.gpns() if gpn >= 512} == set(range(512, 1012))


def test_interrupt_leaves_the_map_of_what_there_was(guest: GuestWriter) -> None:
    def interrupt(blocks: int) -> None:
        if blocks >= 20:
            raise KeyboardInterrupt

    with session_of(guest(FOR_EVER)) as session:
        recorder = Recorder(session, 10)
        with pytest.raises(KeyboardInterrupt):
            recorder.run(None, interrupt)
        assert [one.end for one in recorder.finished().intervals] == [10, 20]
        assert session.partition.gpa_space.dirty_log.reader_count == 0


def test_interval_of_no_block_is_refused(guest: GuestWriter) -> None:
    with session_of(guest(FOR_EVER)) as session, pytest.raises(ConfigurationError) as refusal:
        Recorder(session, 0)
    assert str(refusal.value) == (
        "An interval is at least one block, not 0: leave --every out for a fitting length."
    )
