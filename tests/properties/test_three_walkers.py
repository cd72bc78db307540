"""The engine's own MMU, the C walk and the Python walk give one answer to an access that is really executed.

Three things of the engine's own MMU are known and left out of the comparison. It sets no A and D in the
entry of a page of the second level; ours does, as the manual asks. It sets A in the entry of a page of 1 GiB
although the access is then refused; ours does not. And by construction no second-level entry on the way to a
*table* of the guest has NX: the engine's own MMU, which is the oracle here, cannot read a guest table through
such an entry. The walks themselves are compared there by ``tests/twins``.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from three_walkers import (
    ACCESSED,
    CODE_SLOT,
    DIRTY,
    GIB,
    LARGE,
    NO_EXECUTE,
    PRESENT,
    TOO_WIDE,
    USER,
    WRITABLE,
    Case,
    Walker,
    three_walkers,
)

from minihv.paging.access import AccessKind
from minihv.terms import MIB
from minihv.testing import Shares, canonical

FLOORS = {
    "done": 0.15,
    "#GP": 0.001,
    "#PF: absent": 0.005,
    "#PF: reserved": 0.003,
    "#PF: refused read in ring 0": 0.001,  # SMAP
    "#PF: refused write in ring 0": 0.001,  # SMAP, WP
    "#PF: refused fetch in ring 0": 0.01,  # SMEP, NX
    "#PF: refused read in ring 3": 0.02,  # U/S
    "#PF: refused write in ring 3": 0.02,
    "#PF: refused fetch in ring 3": 0.01,
    "#NPF on a table": 0.05,
    "#NPF on a page": 0.01,
}
GUEST = [f"guest {level}" for level in (5, 4, 3, 2, 1)]
SECOND_OF_TABLES = [
    "second 4",
    "second 3",
    "second 2 of tables",
    *(f"second 1 of table {n}" for n in range(1, 6)),
]
SECOND_OF_PAGE = ["second 3 of page", "second 2 of page", "second 1 of page"]
BITS = [PRESENT, PRESENT, WRITABLE, USER, LARGE, TOO_WIDE, 1 << 16, 1 << 51, ACCESSED, DIRTY]
WITH_NX = [*BITS, NO_EXECUTE, NO_EXECUTE]


def sizes() -> st.SearchStrategy[int]:
    return st.sampled_from([0x1000, 0x1000, 2 * MIB, GIB])


@st.composite
def spoils(draw: st.DrawFn) -> tuple[tuple[str, int], ...]:
    """None, one, or a few bits of entries on the way."""
    guest = st.tuples(st.sampled_from(GUEST), st.sampled_from(WITH_NX))
    tables = st.tuples(st.sampled_from(SECOND_OF_TABLES), st.sampled_from(BITS))
    page = st.tuples(st.sampled_from(SECOND_OF_PAGE), st.sampled_from(WITH_NX))
    return tuple(draw(st.lists(st.one_of(guest, guest, tables, page), max_size=3)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any access of either ring through tables of any shape."""
    levels = draw(st.sampled_from([4, 4, 5]))
    top = draw(st.integers(0, 0x1FF).filter(lambda slot: slot != CODE_SLOT))
    low = draw(st.integers(0, (1 << 3 + 9 * levels) - 1)) & ~7
    gva = canonical(top << 3 + 9 * levels | low, levels)
    if draw(st.integers(0, 63)) == 37:
        gva ^= 1 << 60
    flag = st.booleans()
    return Case(
        draw(st.sampled_from(list(AccessKind))), gva, levels,
        draw(sizes()), draw(st.sampled_from([0x1000, 2 * MIB])), draw(sizes()),
        user=draw(flag), ac=draw(flag), nxe=draw(st.sampled_from([True] * 4 + [False])), wp=draw(flag),
        smep=draw(flag), smap=draw(flag), guest_user=draw(flag), spoiled=draw(spoils()),
    )  # fmt: skip


def check(walkers: dict[str, Walker], case: Case, shares: Shares) -> None:
    outcomes = {name: walker.perform(case) for name, walker in walkers.items()}
    assert outcomes["reference"] == outcomes["native"]
    assert outcomes["native"] == replace(outcomes["engine"], marked=outcomes["native"].marked)
    shares.add(outcomes["engine"].in_words())


def test_three_walks_give_one_answer_and_leave_one_image(request: pytest.FixtureRequest) -> None:
    shares = Shares()
    with three_walkers() as walkers:

        @settings(max_examples=20_000 if request.config.getoption("--long") else 1_500)
        @given(cases())
        def walks_agree(case: Case) -> None:
            check(walkers, case, shares)

        walks_agree()
    shares.assert_floors(FLOORS)
