"""The pieces of drawings."""

from xml.etree import ElementTree

from minihv.eyes import svg

SVG = "{http://www.w3.org/2000/svg}"


def test_document_says_in_words_what_it_shows() -> None:
    root = ElementTree.fromstring(svg.document((100, 50), "a <b>", "c & d", [svg.text(1, 2, "x<y")]))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and description is not None
    assert (title.text, description.text, root.get("role")) == ("a <b>", "c & d", "img")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")


def test_two_drawings_on_one_page_do_not_share_a_name() -> None:
    ids = [ElementTree.fromstring(svg.document((1, 1), name, "", []))[0].get("id") for name in "ab"]
    assert ids[0] != ids[1]


def test_nothing_is_fetched_from_elsewhere() -> None:
    drawing = svg.document((1, 1), "", "", [])
    assert drawing.count("http") == 1 and 'xmlns="http://www.w3.org/2000/svg"' in drawing
    assert "url(" not in drawing and "@import" not in drawing and "@font-face" not in drawing


def test_arrow_points_to_the_right_or_down() -> None:
    assert 'points="10,5 3,1 3,9"' in svg.arrow([(0, 5), (10, 5)])
    assert 'points="5,10 1,3 9,3"' in svg.arrow([(5, 0), (5, 10)])


def test_band_and_box_have_tips() -> None:
    assert "<title>a &lt; b</title>" in svg.ribbon((0, 0, 1), (5, 0, 1), "guest", "a < b")
    assert "<title>tip</title>" in svg.box(0, 0, (1, 1), "guest", "tip")
    assert "<title>" not in svg.box(0, 0, (1, 1), "guest")


def test_figure_has_the_text_too() -> None:
    assert svg.figure("<svg/>", "a < b").startswith('<figure class="mhv-figure"><svg/><details>')
    assert "<pre>a &lt; b</pre>" in svg.figure("<svg/>", "a < b")
