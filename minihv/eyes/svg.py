"""The pieces that drawings are made of: boxes, texts, arrows, and the document around them.

Spec: W3C, "Scalable Vector Graphics (SVG) 2": "Document Structure" (title and desc), "Text".
Simplified: colours are those of the page (``currentColor``) and three middle tones that light and dark pages
    both carry; nothing is said by colour alone.
Next: ``minihv.eyes.walk_svg``
"""

from collections.abc import Iterable
from html import escape
from zlib import crc32

STYLE = """
.mhv { color: #1f2328; font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { .mhv { color: #e6edf3; } }
.mhv text { fill: currentColor; }
.mhv .title { font-size: 15px; font-weight: bold; }
.mhv .strong { font-weight: bold; }
.mhv .small { font-size: 10.5px; }
.mhv .faint { opacity: 0.72; }
.mhv .middle { text-anchor: middle; }
.mhv .end { text-anchor: end; }
.mhv rect { stroke: currentColor; fill: none; }
.mhv .guest { stroke: #3b82f6; fill: #3b82f6; fill-opacity: 0.13; }
.mhv .second, .mhv .shadow { stroke: #0f9d8a; fill: #0f9d8a; fill-opacity: 0.11; }
.mhv .page { stroke: currentColor; fill: currentColor; fill-opacity: 0.06; }
.mhv .refused { stroke: #e5484d; fill: #e5484d; fill-opacity: 0.14; }
.mhv .refused { stroke-width: 2.5; stroke-dasharray: 7 3; }
.mhv .line { stroke: currentColor; fill: none; opacity: 0.6; }
.mhv .skipped { stroke-dasharray: 2 4; }
.mhv .head { fill: currentColor; stroke: none; opacity: 0.6; }
.mhv .ribbon { stroke-width: 0.8; fill-opacity: 0.16; }
.mhv .bar { fill: #e5484d; stroke: none; }
"""
"""A page that shows a drawing inside itself sets its own ``color`` on a rule that is more particular."""


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """One line of text with its baseline at ``y``."""
    classes = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{classes}>{escape(words)}</text>'


def box(x: float, y: float, size: tuple[float, float], kind: str, tip: str = "") -> str:
    """A rectangle with round corners. ``tip`` shows where the pointer rests."""
    width, height = size
    title = f"<title>{escape(tip)}</title>" if tip else ""
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"'
    return f'<rect class="{kind}" {place}>{title}</rect>'


def line(points: Iterable[tuple[float, float]], kind: str = "line") -> str:
    """A line through ``points``."""
    return f'<polyline class="{kind}" points="{places(points)}"/>'


def arrow(points: Iterable[tuple[float, float]], kind: str = "line") -> str:
    """A line through ``points`` that points to the last of them, to the right or down."""
    way = list(points)
    (before_x, before_y), (x, y) = way[-2:]
    if before_y == y:
        way[-1] = (x - 5, y)
        tip = [(x, y), (x - 7, y - 4), (x - 7, y + 4)]
    else:
        way[-1] = (before_x, y - 5)
        tip = [(x, y), (x - 4, y - 7), (x + 4, y - 7)]
    return f'{line(way, kind)}<polygon class="head" points="{places(tip)}"/>'


def ribbon(left: tuple[float, float, float], right: tuple[float, float, float], kind: str, tip: str) -> str:
    """A band from one stretch of a vertical axis to one of another; each is x, its top and its bottom."""
    (x, top, bottom), (to_x, to_top, to_bottom) = left, right
    half = (x + to_x) / 2
    down = f"M{x:g},{top:g} C{half:g},{top:g} {half:g},{to_top:g} {to_x:g},{to_top:g} L{to_x:g},{to_bottom:g}"
    back = f"C{half:g},{to_bottom:g} {half:g},{bottom:g} {x:g},{bottom:g} Z"
    return f'<path class="ribbon {kind}" d="{down} {back}"><title>{escape(tip)}</title></path>'


def places(points: Iterable[tuple[float, float]]) -> str:
    """Coordinates as SVG writes them."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def document(size: tuple[float, float], title: str, description: str, parts: Iterable[str]) -> str:
    """A whole drawing, which says in words what it shows."""
    width, height = size
    name = f"mhv-{crc32((title + description).encode()):08x}"  # two drawings of one page have two names
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mhv" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{name}-title" aria-describedby="{name}-desc">'
    )
    said = (
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return "\n".join([head, said, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def figure(drawing: str, words: str) -> str:
    """A drawing in HTML, with the same in words to be opened below it."""
    more = f"<details><summary>The same in text</summary><pre>{escape(words)}</pre></details>"
    return f'<figure class="mhv-figure">{drawing}{more}</figure>'
