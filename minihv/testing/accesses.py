"""Accesses, and the registers that steer a walk: every combination; what a test gives is fixed.

Stands for: the instruction that touches memory, CR0, CR3, CR4, EFER and RFLAGS.
Spec: AMD APM vol. 2, "Page-Protection Checks"; Intel SDM vol. 3A, "Determination of Access Rights".
Simplified: as ``minihv.paging.access``.
Next: ``minihv.testing.worlds``
"""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from minihv.paging.access import Access, AccessKind, Paging

ROOT = 0x1000
CR3_FLAGS = 0x18
"""PWT and PCD, which are no part of the address in CR3."""


def accesses(**fixed: Any) -> st.SearchStrategy[Access]:
    """Reads, writes and fetches alike, from both rings; AC is set in one of four, one in eight is implicit.

    Args:
        fixed: values or strategies for fields of ``Access``, as in ``accesses(user=True)``.
    """
    return _accesses(tuple(fixed.items()))


def pagings(**fixed: Any) -> st.SearchStrategy[Paging]:
    """Registers: 4 levels in two of three draws, NXE is clear in one of eight, WP in one of four.

    SMEP and SMAP are set in one of four each. ``physical_bits`` is 52 in half of them, else 36, 40 or 46; PWT
    and PCD of CR3 are set in one of eight.

    Args:
        fixed: values or strategies for fields of ``Paging``, as in ``pagings(levels=4)``.
    """
    return _pagings(tuple(fixed.items()))


@cache  # to make a strategy costs more than to draw from it
def _accesses(fixed: tuple[tuple[str, Any], ...]) -> st.SearchStrategy[Access]:
    free: dict[str, st.SearchStrategy[Any]] = {
        "kind": st.sampled_from(AccessKind),
        "user": st.booleans(),
        "ac": one_in(4),
        "implicit": one_in(8),
    }
    return st.builds(Access, **free | given(fixed))


@cache
def _pagings(fixed: tuple[tuple[str, Any], ...]) -> st.SearchStrategy[Paging]:
    free: dict[str, st.SearchStrategy[Any]] = {
        "root": one_in(8).map(lambda flagged: ROOT | (CR3_FLAGS if flagged else 0)),
        "levels": st.sampled_from([4, 4, 5]),
        "physical_bits": st.sampled_from([52, 52, 52, 36, 40, 46]),
        "nxe": not_one_in(8),
        "wp": not_one_in(4),
        "smep": one_in(4),
        "smap": one_in(4),
    }
    return st.builds(Paging, **free | given(fixed))


@cache
def one_in(count: int) -> st.SearchStrategy[bool]:
    """True in one of ``count`` draws; it shrinks to False."""
    return st.sampled_from([False] * (count - 1) + [True])


@cache
def not_one_in(count: int) -> st.SearchStrategy[bool]:
    """False in one of ``count`` draws; it shrinks to True."""
    return st.sampled_from([True] * (count - 1) + [False])


def given(fixed: tuple[tuple[str, Any], ...]) -> dict[str, st.SearchStrategy[Any]]:
    """Strategies for what a test gives: each is one already, or a value."""
    return {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in fixed}
