"""What the book draws from the code is what the code says."""

from pathlib import Path
from types import SimpleNamespace

import bitlayout
import labelled_lines
import package
import written_pages
from bitlayout import Span
from source_tree import ROOT

from minihv.spec.bits import Layout, u32, u64

SINT = [Span("masked", 16, 16), Span("vector", 7, 0)]


def test_bits_without_a_name_are_reserved() -> None:
    spans = bitlayout.with_reserved(SINT, 64)
    assert list(map(str, spans)) == [
        "bits 63:17: reserved",
        "bit 16: masked",
        "bits 15:8: reserved",
        "bits 7:0: vector",
    ]


def test_field_across_two_rows_is_drawn_in_both() -> None:
    frame = Span("frame", 51, 12)
    drawn = bitlayout.rows(list(bitlayout.with_reserved([frame], 64)), 64)
    assert drawn[0][1] == Span("frame", 51, 32)
    assert drawn[1][0] == Span("frame", 31, 12)


def test_drawing_says_in_words_what_it_shows() -> None:
    assert 'aria-label="Sint: bit 16: masked; bits 7:0: vector"' in bitlayout.svg("Sint", SINT, 32)


def test_structure_is_a_table_with_its_gaps() -> None:
    class Page(Layout, byte_count=16):
        magic = u32(0)
        root = u64(8)

    rows = [line.removeprefix("   * - ") for line in bitlayout.table(Page) if line.startswith("   * - 0x")]
    assert rows == ["0x000", "0x004", "0x008"]
    assert list(bitlayout.table(Page))[-1] == "     - ``root``"


def test_labelled_line_goes_on_where_the_next_is_indented() -> None:
    text = "One.\n\nSpec: AMD APM vol. 2,\n    some title.\nSimplified: no NX;\n    no A/D.\nNext: that"
    assert package.labelled(text, "Simplified") == "no NX; no A/D."
    assert package.labelled(text, "Twin") is None


def test_labelled_lines_become_fields() -> None:
    lines = ["One.", "", "Stands for: x", "    and y", "Next: z", "", "More."]
    labelled_lines.make_fields(None, "module", "m", SimpleNamespace(), None, lines)
    assert lines == ["One.", "", "", ":Stands for: x", "   and y", ":Next: z", "", "", "More."]


def test_map_of_a_guest_is_a_drawing_and_text_that_stands_in_for_it() -> None:
    drawing, instead = written_pages.figure(written_pages.record("01_hello"))
    assert "<svg" in drawing.astext() and "01_hello: pages written" in instead.astext()


def test_lines_of_code_leave_out_comments_docstrings_and_blanks(tmp_path: Path) -> None:
    module, source = tmp_path / "m.py", tmp_path / "m.c"
    module.write_text(
        '"""Doc.\n\nMore.\n"""\n\n# why\ndef f() -> int:\n    """Doc."""\n    return (\n        1\n    )\n'
    )
    source.write_text("// why\n\nint f(void) /* a\n comment */\n{\n    return 1;\n}\n")
    assert package.code_lines(module) == 4
    assert package.c_lines(source) == 4


def test_floors_stand_as_the_import_contract_says() -> None:
    names = [name for names in package.floors() for name in names]
    assert names[-2:] == ["terms", "errors"] or names[-3:] == ["terms", "errors", "trace"]


def test_every_floor_has_its_page_of_reference() -> None:
    names = {name for names in package.floors() for name in names}
    pages = {page.stem for page in (ROOT / "docs" / "reference" / "floors").glob("*.rst")}
    assert names <= pages
