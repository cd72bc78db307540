"""SLAT comes first, shadow paging once for each policy, and each mode is a machine that pages so."""

import pytest

from minihv.cli.compare.modes import MODES, SLAT, Mode, open_session


def test_slat_is_what_the_others_are_compared_with() -> None:
    assert MODES[0] == SLAT
    assert [str(mode) for mode in MODES] == ["slat", "shadow/trap", "shadow/unsync", "shadow/flush"]


@pytest.mark.parametrize("mode", [*MODES, Mode("hardware")], ids=str)
def test_session_pages_as_its_mode_says(mode: Mode) -> None:
    with open_session("01_hello", mode) as session:
        assert session.hypervisor.processor.paging.value == mode.paging
        assert session.run().stopped == "halted"


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_tables_of_every_mode_take_frames(mode: Mode) -> None:
    with open_session("01_hello", mode) as session:
        session.run()
        assert session.table_frames == (3 if mode == SLAT else 4 if mode.policy != "flush" else 3)
