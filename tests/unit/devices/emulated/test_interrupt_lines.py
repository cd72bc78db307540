"""A line tells who watches it of changes."""

from minihv.devices.emulated.interrupt_lines import Line


def test_watchers_hear_of_changes_alone() -> None:
    heard: list[bool] = []
    line = Line(heard.append, heard.append)
    for high in (False, True, True, False):
        line.set(high)
    assert heard == [True, True, False, False] and not line.is_high


def test_pulse_is_an_edge_whatever_the_line_was() -> None:
    heard: list[bool] = []
    line = Line(heard.append)
    line.pulse()
    line.pulse()
    assert heard == [True, False, True] and line.is_high
