"""A plot shows a bar for each mode in pieces that add up, and what cannot be drawn is refused early."""

from pathlib import Path

import pytest
from comparisons import UNSYNC, result

from minihv.cli.compare import plot
from minihv.cli.compare.costs import Costs, names
from minihv.cli.compare.modes import SLAT
from minihv.cli.compare.plot import check_plot, draw, figure_of
from minihv.errors import ConfigurationError

RESULTS = [result(SLAT, fills=10_000), result(UNSYNC, {"IOIO": 1, "EXCP14": 100}, 10_000, each=4)]

needs_matplotlib = pytest.mark.skipif(not plot.find_spec("matplotlib"), reason="matplotlib is not installed")


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_plot(path)
    return str(refused.value)


def test_missing_package_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda _name: None)
    assert refusal(Path("plot.svg")) == (
        "A plot is drawn by matplotlib, which is not installed: run pip install 'minihv[plot]'."
    )


@needs_matplotlib
def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none" / "plot.svg") == (
        f"A plot is written to a folder that exists, and {tmp_path / 'none'} does not: choose another name."
    )


@needs_matplotlib
def test_file_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    path.mkdir()
    with pytest.raises(ConfigurationError) as refused:
        draw([RESULTS], Costs(), path)
    assert str(refused.value) == (
        f"A plot is written to a file that can be made, and {path} cannot (Is a directory): "
        "choose another name."
    )


@needs_matplotlib
def test_pieces_of_a_bar_add_up_to_its_cycles() -> None:
    (panel,) = figure_of([RESULTS], Costs()).axes
    bars = [sum(piece.get_width() for piece in pieces) for pieces in zip(*panel.containers, strict=True)]
    assert bars == pytest.approx([one.modelled_cycles / 1e6 for one in RESULTS])
    assert [container.get_label() for container in panel.containers] == names()
    assert [label.get_text() for label in panel.get_yticklabels()] == ["slat", "shadow/unsync"]


@needs_matplotlib
@pytest.mark.parametrize(("name", "begins"), [("plot.svg", b"<?xml"), ("plot.png", b"\x89PNG")])
def test_plot_is_a_file_of_the_kind_that_its_name_says(tmp_path: Path, name: str, begins: bytes) -> None:
    draw([RESULTS, RESULTS], Costs(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_every_cost_has_a_colour() -> None:
    assert len(set(plot.COLOURS)) == len(plot.COLOURS) == len(names())
