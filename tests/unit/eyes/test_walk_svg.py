"""The drawing of a walk."""

from xml.etree import ElementTree

import pytest
from builders import PRESENT, READ, USER_READ
from looked_at import GVA, LookedAt

from minihv.eyes.walk_picture import WalkPicture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: WalkPicture) -> ElementTree.Element:
    return ElementTree.fromstring(picture._repr_svg_())


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def boxes(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [element for element in root.iter(f"{SVG}rect") if element.get("class") == kind]


def test_every_reference_is_a_box_with_its_bytes() -> None:
    picture = LookedAt().walk()
    root = drawn(picture)
    assert (len(boxes(root, "second")), len(boxes(root, "guest"))) == (20, 4)
    assert all(f"{one.entry:016x}" in texts(root) for one in picture.references)
    assert "SPA 0x29123" in texts(root)


@pytest.mark.parametrize(("levels", "second_levels"), [(4, 4), (5, 4), (4, 5), (5, 5)])
def test_everything_lies_inside(levels: int, second_levels: int) -> None:
    root = drawn(LookedAt(levels, second_levels).walk())
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for box in root.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x", 0)) <= width - float(box.get("width", 0))
        assert 0 <= float(box.get("y", 0)) <= height - float(box.get("height", 0))


def test_refused_reference_is_marked_by_its_box_and_by_a_word() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 2, clear=PRESENT)
    root = drawn(guest.walk())
    assert len(boxes(root, "refused")) == 1
    assert [text for text in texts(root) if text.startswith("refused: PD")] == ["refused: PD 43"]
    assert "P is 0 in it: neither a table nor a page is there." in texts(root)


def test_entries_that_withhold_a_right_are_marked() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 4, clear=4).with_entry(GVA, 1, clear=4)
    assert len(boxes(drawn(guest.walk(USER_READ)), "bar")) == 2


def test_large_page_spares_levels_and_the_drawing_says_so() -> None:
    guest = LookedAt()
    guest.second.with_entry(0, 2, set=0x80, clear=0x000F_FFFF_FFFF_F000)
    root = drawn(guest.walk())
    assert "a page of 2 MiB" in texts(root)


def test_address_is_taken_apart_as_far_as_the_walk_came() -> None:
    root = drawn(LookedAt().walk())
    assert {"PML4 36", "PDPT 209", "PD 43", "PT 120", "offset 0x123", "bits 47:39"} <= set(texts(root))


def test_walk_of_one_stage_is_one_row() -> None:
    root = drawn(LookedAt().shadow_walk(READ))
    assert len(boxes(root, "shadow")) == 4
    assert {float(box.get("y", 0)) for box in boxes(root, "shadow")} == {146.0}
    assert "SPA 0x29000" in texts(root)


def test_address_that_is_not_canonical_has_words_only() -> None:
    root = drawn(LookedAt().walk(gva=1 << 63))
    assert not list(root.iter(f"{SVG}rect"))
    assert "Bits 63:48 of a GVA repeat bit 47, and here they do not." in texts(root)
