"""Going to a moment of a guest's run, and looking at its translation there."""

from collections.abc import Iterator

import pytest
from digests import counters_of, difference, second_level_of, state_of
from elf_files import Elf, symbol
from machines import SmallMachine

from minihv.errors import ConfigurationError
from minihv.eyes.guest import (
    Place,
    Point,
    go_to,
    guest_paging,
    look_at_map,
    look_at_walk,
    names_of,
    parse_address,
    parse_point,
    place_of,
    ring_of,
    second_paging,
    symbol_at,
    vp_of,
)
from minihv.guests.image import Image, read_image
from minihv.guests.session import GuestSession
from minihv.machine.processor import PagingMode
from minihv.paging.access import AccessKind
from minihv.terms import MIB, Gpa, Gva

NAMES = b"\0_start\0table\0operator+\0"


@pytest.fixture
def image() -> Image:
    symbols = symbol(1, 0x100000) + symbol(8, 0x100002, kind=1) + symbol(14, 0x100002)
    return read_image(Elf(sections=[(3, 0, NAMES), (2, 0, symbols)]).build(), "it.elf")


@pytest.fixture
def session() -> Iterator[GuestSession]:
    with GuestSession("05_page_tables", memory_bytes=4 * MIB) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0x1F", 0x1F),
        ("31", 31),
        ("_start", 0x100000),
        ("table+0x10", 0x100012),
        ("table+16", 0x100012),
        ("0x10+0x10", 0x20),
        ("operator+", 0x100002),
        ("operator++3", 0x100005),
        (" 0xffffffffffffffff ", (1 << 64) - 1),
    ],
)
def test_address_is_a_number_or_a_symbol_with_an_offset(image: Image, text: str, address: int) -> None:
    assert parse_address(text, image) == address


RULE = "A GVA is a number or a symbol of the guest, with +OFFSET behind it or not, and "


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("tabel", "'tabel' names no symbol of it.elf, did you mean 'table'?"),
        ("xyz", "'xyz' names no symbol of it.elf: nm it.elf lists them."),
        ("", "'' names no symbol of it.elf: nm it.elf lists them."),
        ("-1", "'-1' names no symbol of it.elf: nm it.elf lists them."),
        ("0xg", "'0xg' names no symbol of it.elf: nm it.elf lists them."),
        ("table+", "'table+' names no symbol of it.elf, did you mean 'table'?"),
    ],
)
def test_address_that_is_none_is_refused_with_the_nearest_symbol(image: Image, text: str, end: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_address(text, image)
    assert str(refused.value) == RULE + end


def test_stripped_image_says_why_there_is_no_symbol() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_address("main", read_image(Elf().build(), "it.elf"))
    assert str(refused.value) == (
        RULE + "'main' names no symbol of it.elf, which has none: link it.elf without stripping it."
    )


@pytest.mark.parametrize("text", ["0x10000000000000000", "18446744073709551615+1"])
def test_address_of_more_than_64_bits_is_refused(image: Image, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_address(text, image)
    assert str(refused.value) == (
        f"A GVA has 64 bits, and {text!r} is 0x10000000000000000: take some digits away."
    )


@pytest.mark.parametrize(
    ("texts", "point"),
    [
        ([], Point()),
        (["900"], Point(blocks=900, name="900 blocks")),
        (["_start"], Point(rip=Gva(0x100000), name="_start")),
        (["0x100002"], Point(rip=Gva(0x100002), name="0x100002")),
    ],
)
def test_point_is_a_number_of_blocks_or_an_address(image: Image, texts: list[str], point: Point) -> None:
    assert parse_point(texts, image) == point


def test_two_points_are_one_too_many(image: Image) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_point(["_start", "5"], image)
    assert str(refused.value) == (
        "A guest is looked at in one moment, and --at was given '_start' and '5': leave one."
    )


def test_point_that_is_none_is_refused(image: Image) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_point(["stat"], image)
    assert str(refused.value) == (
        "The point for --at is a number or a symbol of the guest, with +OFFSET behind it or not, and 'stat' "
        "names no symbol of it.elf, did you mean '_start'?"
    )


@pytest.mark.parametrize("paging", PagingMode)
def test_guest_stops_where_its_symbol_is(paging: PagingMode) -> None:
    with GuestSession("05_page_tables", memory_bytes=4 * MIB, paging=paging) as session:
        vp = session.partition.vps[0]
        for name in ("_start", "guest_main", "probe_write"):
            go_to(session, parse_point([name], session.image), vp)
            assert vp.read("rip") == session.image.symbols[name]
            assert place_of(session, vp).symbol == name


def test_guest_that_never_comes_there_is_refused(session: GuestSession) -> None:
    with pytest.raises(ConfigurationError) as refused:
        go_to(session, parse_point(["tables"], session.image), session.partition.vps[0])
    assert str(refused.value) == (
        f"VP 0 of 05_page_tables must come to tables ({session.image.symbols['tables']:#x}) to be "
        f"looked at there, "
        "and the guest ended before (shutdown: the guest wrote to the shutdown port): choose a point that it "
        "executes."
    )


@pytest.mark.parametrize("blocks", [0, 1, 900])
def test_guest_stops_after_so_many_blocks(session: GuestSession, blocks: int) -> None:
    go_to(session, Point(blocks=blocks), session.partition.vps[0])
    place = place_of(session, session.partition.vps[0])
    assert (place.blocks, place.stopped) == (blocks, "budget")


def test_place_is_a_sentence_for_titles(session: GuestSession) -> None:
    assert str(Place("it.elf", 2, 0x100, "main+0x4", 3, 1000, "budget")) == (
        "it.elf, VP 2 at RIP 0x100 (main+0x4) in ring 3, stopped after 1,000 blocks"
    )
    place = Place("a\nb", 0, 0x100, "", 0, 1, "halted")
    assert str(place) == "a\ufffdb, VP 0 at RIP 0x100 in ring 0, halted after 1 block"
    assert place.to_json()["rip"] == "0x100"


def test_vp_that_is_not_there_is_refused(session: GuestSession) -> None:
    with pytest.raises(ConfigurationError) as refused:
        vp_of(session, 1)
    assert str(refused.value) == (
        "05_page_tables has 1 VP, counted from 0, and VP 1 is not among them: choose another --vp, "
        "or give it "
        "more --vps."
    )


def test_symbol_is_the_nearest_below_and_only_inside_the_image(image: Image) -> None:
    assert [symbol_at(image, at) for at in (0x100000, 0x100001, 0x100003, 0x100004, 0x0F_FFFF)] == [
        "_start", "_start+0x1", "operator++0x1", "", ""
    ]  # fmt: skip


def test_registers_steer_the_walk() -> None:
    with SmallMachine("hlt", ring=3) as machine:
        paging = guest_paging(machine.vp)
        assert (paging.root, paging.levels, paging.physical_bits) == (0x3000, 4, 40)
        assert (paging.nxe, paging.wp, paging.smep, paging.smap) == (True, True, False, False)
        machine.vp.write("cr4", 0x620 | 1 << 12 | 3 << 20)
        assert (guest_paging(machine.vp).levels, guest_paging(machine.vp).smap) == (5, True)
        assert second_paging(machine.vp).root == machine.partition.gpa_space.root
        machine.enter()
        assert ring_of(machine.vp) == 3


def test_access_is_made_from_the_ring_of_the_vp_unless_one_is_given(session: GuestSession) -> None:
    go_to(session, parse_point(["guest_main"], session.image), session.partition.vps[0])
    rip = session.image.symbols["guest_main"]
    assert look_at_walk(session, rip, kind=AccessKind.EXECUTE).outcome == "mapped"
    assert look_at_walk(session, rip, ring=0).outcome == "mapped"
    assert look_at_walk(session, rip, ring=3).outcome == "page_fault"


def test_alignment_check_flag_of_the_vp_goes_through_smap(session: GuestSession) -> None:
    go_to(session, Point(), vp := session.partition.vps[0])
    vp.write("cr4", vp.read("cr4") | 1 << 21)
    user_page = 0x20000001000
    assert look_at_walk(session, user_page).outcome == "page_fault"
    vp.write("rflags", vp.read("rflags") | 1 << 18)
    assert look_at_walk(session, user_page).outcome == "mapped"


def test_map_has_both_stages_and_the_overlays(session: GuestSession) -> None:
    session.partition.set_hypercall_page(Gpa(0x8000))
    assert names_of(session.partition) == {0x8000: "hypercall page"}
    first, second = look_at_map(session).stages
    overlay = second.find(0x8000)
    assert overlay is not None
    assert (overlay.what, overlay.writable, overlay.page_count) == ("hypercall page", False, 1)
    assert first.target_of(0x1000) == 0x1000
    assert second.target_of(0x9000) == session.partition.gpa_space.spa_of(0x9000)


@pytest.mark.parametrize("paging", PagingMode)
def test_guest_that_is_looked_at_runs_as_if_it_were_not(paging: PagingMode) -> None:
    ends = []
    for looks in (False, True):
        with GuestSession("05_page_tables", memory_bytes=4 * MIB, paging=paging) as session:
            vp = session.partition.vps[0]
            for name in ("guest_main", "rights", "probe_call"):
                go_to(session, parse_point([name], session.image), vp)
                before = state_of(session.partition), second_level_of(session.partition)
                if looks:
                    look_at_walk(session, 0x8000000000, kind=AccessKind.WRITE), look_at_map(session)
                    assert not difference(
                        before, (state_of(session.partition), second_level_of(session.partition))
                    )
            session.run()
            ends.append([state_of(session.partition), second_level_of(session.partition)])
    assert not difference(ends[0], ends[1])


def test_counters_do_not_count_what_was_only_looked_at(session: GuestSession) -> None:
    vp = session.partition.vps[0]
    go_to(session, parse_point(["rights"], session.image), vp)
    before = counters_of(vp), int(vp.counters.tlb_fills), int(vp.counters.walk_references)
    look_at_walk(session, 0x8000000000, kind=AccessKind.WRITE)
    assert (counters_of(vp), int(vp.counters.tlb_fills), int(vp.counters.walk_references)) == before


def test_guest_that_is_stopped_at_a_symbol_ends_as_it_would(session: GuestSession) -> None:
    with GuestSession("05_page_tables", memory_bytes=4 * MIB) as straight:
        straight.run()
        go_to(session, parse_point(["probe_read"], session.image), session.partition.vps[0])
        session.run()
        assert not difference(state_of(session.partition), state_of(straight.partition))
