"""``.. dirty-map:: GUEST`` runs a built-in guest while the book is built, and draws which pages it writes."""

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minihv.cli.dirty.dirty_map import DirtyMap
from minihv.cli.dirty.recorder import Recorder
from minihv.guests.session import GuestSession


def record(guest: str) -> DirtyMap:
    """What ``minihv dirty`` shows of ``guest``."""
    with GuestSession(guest) as session:
        return Recorder(session).run()


def figure(drawn: DirtyMap) -> list[nodes.Node]:
    """The drawing, and the text that stands in for it where pictures do not go."""
    drawing = nodes.raw("", f'<div class="dirty-map">{drawn._repr_svg_()}</div>', format="html")
    instead = addnodes.only(expr="not html")
    instead += nodes.literal_block(str(drawn), str(drawn))
    return [drawing, instead]


class DirtyMapFigure(SphinxDirective):
    """Draws the guest that is its argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return figure(record(self.arguments[0]))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("dirty-map", DirtyMapFigure)
    return {"parallel_read_safe": True}
