"""Whatever is done to images, its n-th access to a file fails, for every n: nothing that was there is lost.

What was asked for is done or refused in a sentence. Each image that was there before still opens and holds
what it held; a check finds nothing worse than space that nobody uses; and no file is left behind half made.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from images import SECTORS, child, content, dynamic, plain, sectors

from minihv.errors import ConfigurationError
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.checking import check
from minihv.storage.compacting import compact
from minihv.storage.copying import convert
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.making import make_differencing, make_dynamic, make_fixed
from minihv.storage.merging import merge
from minihv.storage.opening import open_disk
from minihv.storage.resizing import resize
from minihv.storage.vhd_growing import GrowingVhd

ACCESSES = ("read", "write", "zero", "resize", "flush")
BELOW = {0: sectors(b"zero", 8), 20: sectors(b"below", 2)}
ABOVE = {3: sectors(b"above"), 40: sectors(b"new", 3)}
LEAST_ACCESSES = 3


class Failing:
    """Every file of the process: access ``at`` fails with ``outcome``; ``count`` counts them all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
        self.outcome, self.at, self.count = outcome, 0, 0
        monkeypatch.setenv("MINIHV_CORE", "reference")  # each access is one of the file
        for name in ACCESSES:
            if name == "read" and outcome is Outcome.NO_SPACE:
                continue  # nothing that is read needs space
            monkeypatch.setattr(HostFile, name, self._wrapped(getattr(HostFile, name)))

    def _wrapped(self, real: Callable[..., Outcome]) -> Callable[..., Outcome]:
        def access(file: HostFile, *arguments: Any) -> Outcome:
            self.count += 1
            return self.outcome if self.count == self.at else real(file, *arguments)

        return access

    def arm(self, at: int) -> None:
        """The counting begins, and access ``at`` fails; 0: none does any more."""
        self.at, self.count = at, 0


def tell(_done: int, _of: int) -> None:
    """Nobody listens."""


def growing(work: Callable[[GrowingVhd], object]) -> Callable[[Path], None]:
    """Does ``work`` to the child, which is open meanwhile."""

    def do(folder: Path) -> None:
        with open_disk(folder / "child.vhd", writable=True) as disk:
            assert isinstance(disk, GrowingVhd)
            work(disk)

    return do


def converted(kind: str) -> Callable[[Path], None]:
    """A copy of the child of another kind."""

    def do(folder: Path) -> None:
        with open_disk(folder / "child.vhd") as disk:
            convert(disk, folder / "copy.vhd", kind, tell)

    return do


OPERATIONS: dict[str, Callable[[Path], object]] = {
    "fixed": lambda folder: make_fixed(folder / "new.vhd", 1 << 20),
    "dynamic": lambda folder: make_dynamic(folder / "new.vhd", 1 << 20),
    "differencing": lambda folder: make_differencing(folder / "new.vhd", folder / "parent.vhd"),
    "resize": growing(lambda disk: resize(disk, 2 * SECTORS * SECTOR_BYTES)),
    "compact": growing(lambda disk: compact(disk, tell)),
    "convert to fixed": converted("fixed"),
    "convert to dynamic": converted("dynamic"),
    "merge": lambda folder: merge(folder / "child.vhd", tell, keep=True),
}


@pytest.fixture(params=[Outcome.MEDIUM_ERROR, Outcome.NO_SPACE], ids=lambda outcome: outcome.name)
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    made = Failing(monkeypatch, request.param)
    yield made
    made.arm(0)


def chain(folder: Path) -> bytes:
    """A parent and its child; what a guest sees."""
    folder.mkdir()
    child(folder / "child.vhd", dynamic(folder / "parent.vhd", written=BELOW), ABOVE)
    return plain(BELOW | ABOVE)


def attempt(operation: Callable[[Path], object], folder: Path) -> str:
    """Does it; why it was refused, or an empty string."""
    try:
        operation(folder)
    except ConfigurationError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_lost_wherever_an_operation_fails(tmp_path: Path, failing: Failing, name: str) -> None:
    seen: Counter[str] = Counter()
    for at in range(1, 1000):
        failing.arm(0)
        folder = tmp_path / str(at)
        expected = chain(folder)
        failing.arm(at)
        said = attempt(OPERATIONS[name], folder)
        assert said == "" or (said.endswith(".") and "\n" not in said)
        seen["refused" if said else "done"] += 1
        reached = failing.count >= at
        failing.arm(0)
        assert content(folder / "child.vhd")[: len(expected)] == expected
        assert {path.name for path in folder.iterdir()} <= {
            "parent.vhd",
            "child.vhd",
            "new.vhd",
            "copy.vhd",
        }
        damage = [
            one
            for path in folder.iterdir()
            for one in check(path)
            if one.is_damage and "changed" not in one.what
        ]
        assert damage == []
        if not reached:
            break
    else:
        pytest.fail(f"{name} has no end")
    assert at > LEAST_ACCESSES and seen["refused"] >= 1, seen


def test_writer_keeps_what_was_flushed_wherever_it_fails(tmp_path: Path, failing: Failing) -> None:
    for at in range(1, 1000):
        failing.arm(0)
        path = dynamic(tmp_path / f"{at}.vhd", written=BELOW)
        kept = plain(BELOW)
        with open_disk(path, writable=True) as disk:
            failing.arm(at)
            written = disk.write(30, sectors(b"more", 20))
            flushed = disk.flush() if written is Outcome.DONE else written
        reached = failing.count >= at
        failing.arm(0)
        found = content(path)
        assert all(found[s * SECTOR_BYTES :][: len(data)] == data for s, data in BELOW.items())
        if flushed is Outcome.DONE:
            assert found == plain(BELOW | {30: sectors(b"more", 20)})
        assert len(found) == len(kept) and [one for one in check(path) if one.is_damage] == []
        if not reached:
            return
    pytest.fail("writing has no end")
