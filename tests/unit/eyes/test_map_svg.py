"""The drawing of a map."""

from xml.etree import ElementTree

import pytest
from looked_at import LookedAt

from minihv.eyes.address_map import AddressMap, Limits, map_stage
from minihv.eyes.map_svg import MOST_BANDS, TOP, Axis
from minihv.paging.access import Paging, StageName
from minihv.testing import memory_of, page_table

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: AddressMap) -> ElementTree.Element:
    return ElementTree.fromstring(picture._repr_svg_())


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_each_range_is_a_band_between_two_axes() -> None:
    root = drawn(LookedAt().map("a test's"))
    assert [band.get("class") for band in root.iter(f"{SVG}path")] == ["ribbon guest", "ribbon second"]
    assert len([box for box in root.iter(f"{SVG}rect") if box.get("class") == "page"]) == 3
    assert texts(root)[:4] == ["a test's", "GVA", "GPA", "SPA"]
    assert {"0x123445678000, 4 KiB, rwxu-", "0x0, 64 KiB, rwxu-", "0x20000"} <= set(texts(root))


def test_name_of_a_page_is_beside_it() -> None:
    root = drawn(AddressMap((LookedAt().second_map(x5000="hypercall page"),)))
    assert "0x25000, hypercall page" in texts(root)


def test_drawing_has_a_limit_and_says_so() -> None:
    tables = page_table()
    for number in range(MOST_BANDS + 5):
        tables.maps(number << 13, to=0x8000)
    root = drawn(AddressMap((map_stage(tables.memory, tables.paging, StageName.GUEST),)))
    assert len(list(root.iter(f"{SVG}path"))) == MOST_BANDS
    assert f"GVA to GPA: 116 KiB in 29 ranges. The drawing has the first {MOST_BANDS} of them." in texts(root)


def test_limit_of_the_map_is_in_the_drawing() -> None:
    tables = page_table().maps(0x5000, to=0x8000)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST, limits=Limits(tables=2))
    assert stage.left_out in " ".join(texts(drawn(AddressMap((stage,)))))


@pytest.mark.parametrize("stages", [0, 1])
def test_empty_map_is_drawn(stages: int) -> None:
    stage = map_stage(memory_of(0x2000), Paging(0x1000), StageName.GUEST)
    root = drawn(AddressMap((stage,) * stages))
    assert not list(root.iter(f"{SVG}path"))


def test_axis_puts_addresses_in_order_with_gaps_between() -> None:
    axis = Axis(0, [(0x1000, 0x3000), (0x9000, 0xA000)])
    assert axis.y(0x1000) == TOP
    assert axis.y(0x1000) < axis.y(0x2000) < axis.y(0x3000) < axis.y(0x9000) < axis.y(0xA000)
    assert [kind for _, _, kind in axis.boxes()] == ["page", "page"]
    assert axis.stretch(0x9000, 0xA000)[1] == TOP + axis.height


def test_gpa_without_memory_is_dotted_and_the_drawing_says_so() -> None:
    guest = LookedAt()
    guest.tables.maps(0x7000, to=0x80000)
    root = drawn(guest.map())
    kinds = [box.get("class") for box in root.iter(f"{SVG}rect")]
    assert kinds.count("page skipped") == 1
    assert "Where an axis is dotted, the tables lead to it and nothing is there." in texts(root)


def test_longer_range_is_higher_but_not_to_scale() -> None:
    small, large = Axis(0, [(0, 0x1000)]), Axis(0, [(0, 1 << 30)])
    assert small.height < large.height < 10 * small.height
