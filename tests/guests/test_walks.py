"""Walks through the tables that ``05_page_tables`` builds, held against golden texts in ``walks``.

Where the guest's tables lie depends on how large the compiler made its image. So addresses and entries count
from the first free GPA, ``E``, and from its SPA, ``S``.
"""

import re
from pathlib import Path

import pytest

from minihv.eyes.guest import Point, go_to, look_at_walk, parse_point
from minihv.guests.session import GuestSession
from minihv.paging.access import AccessKind
from minihv.spec.x86_paging import FRAME
from minihv.terms import MIB, PAGE_BYTES

FEW_PAGES = 0x40 * PAGE_BYTES
GOLDEN = Path(__file__).parent / "walks"
READ, WRITE, EXECUTE = AccessKind
SMALL, HUGE, USER, HIGH = 0x8000000000, 0x18000000000, 0x20000000000, 0xFFFF_8000_0000_0000
RIGHTS = "probe_read"
"""Where the guest reads a page that it has taken away from its tables."""
WALKS = {
    "high_half_read": ("", HIGH + 0x123, READ, 0),
    "huge_page_written": ("", HUGE + 0x100, WRITE, 0),
    "gone_page_read": (RIGHTS, SMALL, READ, 0),
    "callable_page_fetched": ("probe_call", SMALL, EXECUTE, 0),
    "own_code_written": ("", USER, WRITE, 3),
    "supervisor_page_read": ("", HUGE, READ, 3),
    "beyond_the_memory": ("", HUGE + 0x500000, READ, 0),
    "not_canonical": ("", 0x0000_8000_0000_0000, READ, 0),
}


def counted_from(text: str, gpa: int, spa: int) -> str:
    """``text`` with what lies in the first pages from ``gpa``, or from ``spa``, counted from there."""

    def put(found: re.Match[str]) -> str:
        value = int(found[0], 16)
        for base, letter in ((gpa, "E"), (spa, "S")):
            if base <= value & FRAME < base + FEW_PAGES and value >> 52 in (0, 0x800):
                return f"{letter}+{value - base:#x}"
        return found[0]

    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{16}\b", put, text)


def shown(name: str, memory_bytes: int) -> str:
    """The picture of a walk, without the title, which counts blocks, and without its columns."""
    at, gva, kind, ring = WALKS[name]
    with GuestSession("05_page_tables", memory_bytes=memory_bytes) as session:
        vp, end = session.partition.vps[0], session.image.end
        go_to(session, parse_point([at], session.image) if at else Point(), vp)
        lines = str(look_at_walk(session, gva, kind=kind, ring=ring)).splitlines()[1:]
        spa = session.partition.gpa_space.spa_of(end)
    assert spa is not None
    return "".join(re.sub(r"  +", "  ", counted_from(line, end, spa)) + "\n" for line in lines)


@pytest.mark.parametrize("name", WALKS)
def test_walk_of_the_guest_is_the_golden_one(name: str) -> None:
    assert shown(name, 4 * MIB) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_walk_in_the_smallest_pages_of_both_stages_takes_24_references() -> None:
    text = shown("high_half_read", 4 * MIB + PAGE_BYTES)
    assert text.endswith("  page  4 KiB in the first stage, 4 KiB in the second\n"
                         "  rights  ring 0 may read, write, execute; a page of ring 0\n"
                         "  references  24: 4 guest, 20 second\n")  # fmt: skip


def test_every_golden_text_is_used() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(WALKS)
