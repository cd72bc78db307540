"""Pictures of guests that run while the book is built, as text or as drawings.

``.. walk:: GUEST GVA`` is a page walk, ``.. address-map:: GUEST`` all mappings; ``:at:``, ``:access:``,
``:ring:`` and ``:memory:`` are the options of the command, which is shown with them. ``:drawing:`` draws, and
says the same in text where pictures do not go.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minihv.cli.eyes import KINDS
from minihv.cli.run import parse_size
from minihv.eyes.address_map import AddressMap
from minihv.eyes.guest import go_to, look_at_map, look_at_walk, parse_address, parse_point
from minihv.eyes.walk_picture import WalkPicture
from minihv.guests.catalogue import find_guest
from minihv.guests.session import GuestSession

OPTIONS = ("at", "access", "ring", "memory")


def picture_of(verb: str, arguments: list[str], options: dict[str, str]) -> WalkPicture | AddressMap:
    """What the command shows."""
    memory = options.get("memory")
    size = parse_size(memory) if memory else None
    with GuestSession(arguments[0], memory_bytes=size) as session:
        points = [options["at"]] if "at" in options else []
        go_to(session, parse_point(points, session.image), session.partition.vps[0])
        if verb == "map":
            return look_at_map(session)
        kind = KINDS[options.get("access", "r")]
        ring = int(options["ring"]) if "ring" in options else None
        return look_at_walk(session, parse_address(arguments[1], session.image), kind=kind, ring=ring)


def command(verb: str, arguments: list[str], options: dict[str, str]) -> str:
    """The command line that shows it."""
    chosen = [f"--{name} {options[name]}" for name in OPTIONS if name in options]
    return " ".join(["$ minihv", verb, *arguments, *chosen])


class Walk(SphinxDirective):
    """Shows the walk of one access."""

    verb = "walk"
    required_arguments = 2
    option_spec = dict.fromkeys(OPTIONS, directives.unchanged) | {"drawing": directives.flag}

    def run(self) -> list[nodes.Node]:
        options = {name: text for name, text in self.options.items() if text is not None}
        picture = picture_of(self.verb, self.arguments, options)
        self.env.note_dependency(str(find_guest(self.arguments[0]).path))
        words = f"{command(self.verb, self.arguments, options)}\n{picture}"
        text = nodes.literal_block(words, words, language="text")
        if "drawing" not in self.options:
            return [text]
        drawing = f'<div class="mhv-drawing">{picture._repr_svg_()}</div>'
        instead = addnodes.only(expr="not html")
        instead += text
        return [nodes.raw("", drawing, format="html"), instead]


class Map(Walk):
    """Shows all mappings."""

    verb = "map"
    required_arguments = 1


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("walk", Walk)
    app.add_directive("address-map", Map)
    return {"parallel_read_safe": True}
