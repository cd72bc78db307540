"""SLAT comes first, shadow paging once for each policy, and each mode is a machine that pages so."""

import pytest

from minihv.cli.compare.modes import SHADOW, SLAT, Mode, modes, open_session, table_frames
from minihv.machine.processor import PagingMode

needs_shadow = pytest.mark.skipif(
    not hasattr(PagingMode, "SHADOW"), reason="this machine has no shadow paging"
)


def test_slat_is_what_the_others_are_compared_with() -> None:
    assert modes()[0] == SLAT
    assert len(set(modes())) == len(modes())


@needs_shadow
def test_shadow_paging_is_there_under_every_policy() -> None:
    assert [str(mode) for mode in modes()] == ["slat", "shadow/trap", "shadow/unsync", "shadow/flush"]


def test_mode_is_named_with_its_policy() -> None:
    assert [str(mode) for mode in (SLAT, *SHADOW, Mode("hardware"))] == [
        "slat",
        "shadow/trap",
        "shadow/unsync",
        "shadow/flush",
        "hardware",
    ]


@pytest.mark.parametrize("mode", [*modes(), Mode("hardware")], ids=str)
def test_session_pages_as_its_mode_says(mode: Mode) -> None:
    with open_session("01_hello", mode) as session:
        assert session.hypervisor.processor.paging.value == mode.paging
        assert session.run().stopped == "halted"


@needs_shadow
@pytest.mark.parametrize("mode", modes(), ids=str)
def test_tables_of_every_mode_take_frames(mode: Mode) -> None:
    with open_session("01_hello", mode) as session:
        session.run()
        assert table_frames(session) > 0
