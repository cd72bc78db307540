"""What the book draws from the code is what the code says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bitlayout
import eyes
import labelled_lines
import package
import paging_comparison
import pytest
import written_pages
from bitlayout import Span
from comparisons import UNSYNC, result
from remembered_references import RememberingDomain
from source_tree import ROOT
from sphinx.domains.python import ObjectEntry, PythonDomain

from minihv.cli.compare.measure import Comparison
from minihv.cli.compare.modes import SLAT
from minihv.spec.bits import Layout, u32, u64

SINT = [Span("masked", 16, 16), Span("vector", 7, 0)]


def test_names_are_found_as_in_the_domain_of_python() -> None:
    env: Any = SimpleNamespace(domaindata={}, config=SimpleNamespace(), settings={})
    domain = RememberingDomain(env)
    for name in ("a.Gpa", "b.Gpa", "a.walk"):
        domain.objects[name] = ObjectEntry("page", name, "class", False)
    for name in ("Gpa", "walk", "nothing", "a.Gpa"):
        for _ in range(2):
            expected = PythonDomain.find_obj(domain, env, "", "", name, "class", 1)
            assert domain.find_obj(env, "", "", name, "class", 1) == expected
    assert len(domain.find_obj(env, "", "", "Gpa", "class", 1)) == 2


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


def test_comparison_of_the_book_is_a_table_and_a_verdict() -> None:
    slat, shadow = result(SLAT, fills=10_000), result(UNSYNC, {"IOIO": 1, "EXCP14": 100}, 10_000, each=4)
    lines = list(paging_comparison.comparison([slat, shadow]))
    assert [line for line in lines if line.startswith("   * - ")] == [
        "   * - Mode",
        "   * - ``slat``",
        "   * - ``shadow/unsync``",
    ]
    assert lines.index("     - 2,287,000") < lines.index("     - 787,000")
    assert "shadow/unsync wins: slat takes 2.91 times its modelled cycles." in lines


def test_comparison_runs_again_only_when_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[object, ...]] = []

    def run(*asked: object) -> list[Comparison]:
        runs.append(asked)
        return []

    monkeypatch.setattr(paging_comparison, "compare", run)
    for code in ("one", "one", "other"):
        monkeypatch.setattr(paging_comparison, "fingerprint", lambda code=code: code)
        assert paging_comparison.measured(tmp_path / "cache" / "kept.json") == []
    assert len(runs) == 2


def test_fingerprint_is_of_what_is_installed() -> None:
    assert paging_comparison.fingerprint() == paging_comparison.fingerprint()
    assert len(paging_comparison.fingerprint()) == 64


def test_picture_is_that_of_the_command_beside_it() -> None:
    options = {"at": "probe_read", "memory": "4M", "access": "w", "ring": "3"}
    picture = eyes.picture_of("walk", ["05_page_tables", "0x8000000000"], options)
    assert "(probe_read) in ring 0" in picture.title
    assert "GVA 0x8000000000: a write by ring 3" in str(picture)
    assert eyes.command("walk", ["05_page_tables", "0x8000000000"], options) == (
        "$ minihv walk 05_page_tables 0x8000000000 --at probe_read --access w --ring 3 --memory 4M"
    )


def test_map_of_the_book_is_made_at_the_end_of_the_run() -> None:
    picture = eyes.picture_of("map", ["01_hello"], {})
    assert "halted after" in picture.title
