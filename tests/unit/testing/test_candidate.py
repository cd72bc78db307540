"""A candidate is asked for what it names, and its answer is compared as far as it says anything."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from builders import READ, USER_WRITE

from minihv.errors import ConfigurationError
from minihv.paging.access import AccessKind
from minihv.paging.nested import Violation
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.testing.candidate import Exit, Fault, Page, Trouble, agrees, candidate_of
from minihv.testing.memory import WordMemory
from minihv.testing.tables import page_table
from minihv.testing.worlds import Ask, World

FAULT = PageFault(0x5000, 1, 4, error_code=7)
EXIT = Violation(0x9000, AccessKind.READ, False, 1, 1, 24, error_code=4)


def world() -> World:
    tables = page_table(memory=WordMemory()).maps(0x5000, to=0x9000)
    assert isinstance(tables.memory, WordMemory)
    return World(tables.memory, tables.paging)


def answer(candidate: Callable[..., Any]) -> Any:
    drawn = world()
    return candidate_of(candidate, 1).answer(drawn.memory, drawn, Ask(0x5000, USER_WRITE))


def mapping() -> Mapping:
    drawn = world()
    found = walk(drawn.memory, drawn.guest, 0x5000, READ)
    assert isinstance(found, Mapping)
    return found


def test_walker_is_called_with_what_it_names() -> None:
    def named(
        read_u64: Any, root: int, gva: int, *, user: bool, write: bool, levels: int, nx: int = 3
    ) -> Any:
        return root, gva, user, write, levels, nx

    assert answer(named) == (0x1000, 0x5000, True, True, 4, 3)


def test_walker_with_any_keyword_gets_all() -> None:
    assert answer(lambda read_u64, root, gva, **names: sorted(names)) == [
        "ac", "execute", "implicit", "levels", "nxe", "physical_bits", "smap", "smep", "user", "wp",
        "write", "write_u64",
    ]  # fmt: skip


def test_walker_reads_whole_entries() -> None:
    assert answer(lambda read_u64, root, gva: hex(read_u64(root))) == "0x2007"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda read, root, gva: read(4), "read eight bytes at 0x4, which is no address of an entry"),
        (lambda read, root, gva: read(-8), "read eight bytes at -0x8, which is no address of an entry"),
        (lambda read, root, gva: [read(0) for _ in range(101)], "read 100 entries and did not end"),
        (
            lambda read, root, gva, write_u64: write_u64(3, 0),
            "wrote eight bytes at 0x3, which is no address of an entry",
        ),
        (lambda read, root, gva, write_u64: write_u64(8, -1), "wrote -0x1, which is not a number of 64 bits"),
    ],
)
def test_walker_that_leaves_the_memory_is_stopped(wrong: Callable[..., Any], words: str) -> None:
    assert answer(wrong) == Trouble(words)


def test_walker_that_catches_everything_is_stopped_too() -> None:
    def stubborn(read_u64: Any, root: int, gva: int) -> Any:
        while True:
            with suppress(Exception):
                read_u64(root)

    assert answer(stubborn) == Trouble("read 100 entries and did not end")


def test_exception_of_a_walker_names_its_line() -> None:
    def broken(read_u64: Any, root: int, gva: int) -> Any:
        return int("x")

    line = broken.__code__.co_firstlineno + 1
    said = "raised ValueError: invalid literal for int() with base 10: 'x'"
    assert answer(broken) == Trouble(f"{said} (line {line})")


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (lambda: 0x9000, True),
        (lambda: 0x9008, False),
        (lambda: Page(0x9000), True),
        (lambda: Page(0x9000, 4096), True),
        (lambda: Page(0x9000, 1 << 21), False),
        (lambda: Fault(1), False),
        (lambda: None, False),
        (lambda: True, False),
        (lambda: NotCanonical, False),
        (mapping, True),
    ],
)
def test_page_is_told_by_its_address(said: Callable[[], Any], right: bool) -> None:
    assert agrees(said(), mapping()) == right


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (Fault(7), True),
        (Fault(7, 1), True),
        (Fault(7, 2), False),
        (Fault(5), False),
        (FAULT, True),
        (0x9000, False),
    ],
)
def test_fault_is_told_by_its_error_code(said: Any, right: bool) -> None:
    assert agrees(said, FAULT) == right


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (Exit(4), True),
        (Exit(4, 0x9000, False), True),
        (Exit(4, 0x8000), False),
        (Exit(4, on_table=True), False),
    ],
)
def test_exit_is_told_by_its_error_code_and_what_else_it_says(said: Any, right: bool) -> None:
    assert agrees(said, EXIT) == right


def test_address_that_is_not_canonical_may_be_told_by_the_class_alone() -> None:
    found = NotCanonical(1 << 60)
    assert agrees(NotCanonical, found) and agrees(NotCanonical(1 << 60), found)
    assert not agrees(NotCanonical(1 << 61), found) and not agrees(Fault(0), found)


@pytest.mark.parametrize(
    ("candidate", "stages", "words"),
    [
        (lambda read, root, gva: 0, 3, "A walk has one stage or two, not 3: give stages=1 or stages=2."),
        (
            lambda read, root: 0, 1,
            "A walker of one stage begins with (read_u64, root, gva), and this one takes 2 by position: "
            "give it 3.",
        ),
        (
            lambda read, root, gva: 0, 2,
            "A walker of two stages begins with (read_u64, root, second_root, gva), and this one takes 3 by "
            "position: give it 4.",
        ),
        (
            lambda read, root, gva, *, wite: 0, 1,
            "A walker may ask for write, execute, user, levels, nxe, wp, smep, smap, ac, implicit, "
            "physical_bits, write_u64, and not for 'wite', did you mean 'write'?: give it a default, or "
            "another name.",
        ),
        (
            7, 1,
            "A walker says by its signature what it takes, and 7 has none: wrap it in a def.",
        ),
    ],
)  # fmt: skip
def test_walker_that_cannot_be_called_is_refused(candidate: Any, stages: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        candidate_of(candidate, stages)
    assert str(refusal.value) == words
