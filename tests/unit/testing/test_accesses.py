"""Accesses and registers reach every value, and keep what a test gives."""

from hypothesis import given
from hypothesis import strategies as st

from minihv.paging.access import Access, AccessKind, Paging
from minihv.testing.accesses import accesses, pagings
from minihv.testing.outcomes import Shares


def test_every_kind_of_access_is_drawn_from_both_rings() -> None:
    shares = Shares()

    @given(accesses())
    def draw(access: Access) -> None:
        shares.add(f"{access.kind.name} ring {3 if access.user else 0}")
        shares.add(f"AC {access.ac}, implicit {access.implicit}")

    draw()
    shares.assert_floors({f"{kind.name} ring {ring}": 0.01 for kind in AccessKind for ring in (0, 3)})
    shares.assert_floors({"AC True, implicit False": 0.01, "AC False, implicit True": 0.005})


def test_every_register_is_drawn_set_and_clear() -> None:
    shares = Shares()

    @given(pagings())
    def draw(paging: Paging) -> None:
        assert paging.root & -0x1000 == 0x1000
        shares.add(f"{paging.levels} levels")
        shares.add("narrow" if paging.physical_bits < 52 else "wide")
        for name in ("nxe", "wp", "smep", "smap"):
            shares.add(f"{name} {getattr(paging, name)}")

    draw()
    names = ("nxe", "wp", "smep", "smap")
    shares.assert_floors({f"{name} {value}": 0.003 for name in names for value in (True, False)})
    shares.assert_floors({"4 levels": 0.05, "5 levels": 0.02, "narrow": 0.03, "wide": 0.03})


@given(accesses(user=True, kind=st.sampled_from([AccessKind.READ, AccessKind.WRITE])))
def test_access_keeps_what_is_given_as_a_value_or_a_strategy(access: Access) -> None:
    assert access.user and access.kind is not AccessKind.EXECUTE


@given(pagings(levels=5, smep=True, root=0x7000))
def test_registers_keep_what_is_given(paging: Paging) -> None:
    assert (paging.levels, paging.smep, paging.root) == (5, True, 0x7000)
