"""Draws what modelled cycles are made of, mode by mode. The package for it is asked for only here.

Next: ``minihv.cli.compare.verdict``
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minihv.cli.compare.costs import Costs, contributions, names
from minihv.cli.compare.measure import Result
from minihv.errors import ConfigurationError

SUFFIXES = (".svg", ".png")
COLOURS = ("#bbbbbb", "#4477aa", "#cc3311", "#ee7733", "#009988", "#aa3377")
"""One for each cost, apart for every eye; the labels say the same."""
PANEL_INCHES = (7.5, 1.5)


def check_plot(path: Path) -> None:
    """Refuses what cannot be drawn, before anything is measured."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"A plot is a file that ends in {' or '.join(SUFFIXES)}, which {path} does not: rename it."
        )
    if find_spec("matplotlib") is None:
        raise ConfigurationError(
            "A plot is drawn by matplotlib, which is not installed: run pip install 'minihv[plot]'."
        )
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"A plot is written to a folder that exists, and {path.parent} does not: choose another name."
        )


def draw(compared: Sequence[Sequence[Result]], costs: Costs, path: Path) -> None:
    """Writes a picture with a panel for each guest and a bar for each mode to ``path``."""
    figure = figure_of(compared, costs)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    try:
        figure.savefig(path, metadata=metadata)
    except OSError as reason:
        raise ConfigurationError(
            f"A plot is written to a file that can be made, and {path} cannot ({reason.strerror}): "
            "choose another name."
        ) from reason


def figure_of(compared: Sequence[Sequence[Result]], costs: Costs) -> Any:
    """The picture, as a ``matplotlib.figure.Figure``."""
    width, height = PANEL_INCHES
    figure = import_module("matplotlib.figure").Figure(
        figsize=(width, 0.6 + height * len(compared)), layout="constrained"
    )
    panels = figure.subplots(len(compared), 1, squeeze=False)[:, 0]
    for panel, results in zip(panels, compared, strict=True):
        draw_guest(panel, results, costs)
    panels[-1].set_xlabel("modelled cycles, millions")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def draw_guest(panel: Any, results: Sequence[Result], costs: Costs) -> None:
    """One guest: a bar for each mode, in pieces for what the cycles went to."""
    bars = [one.name for one in results]
    left = [0.0] * len(results)
    for name, colour in zip(names(), COLOURS, strict=True):
        pieces = [contributions(one, costs)[name] / 1e6 for one in results]
        panel.barh(bars, pieces, left=left, color=colour, label=name)
        left = [start + piece for start, piece in zip(left, pieces, strict=True)]
    panel.set_title(results[0].guest, loc="left", fontsize="medium")
    panel.invert_yaxis()
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
