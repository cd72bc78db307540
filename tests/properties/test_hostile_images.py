"""Images that lie: each is refused with a sentence, or is a disk that reads, fails by value, and harms no
other file.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from images import child, dynamic, patch, patch_footer, patch_header, patch_table, sectors

from minihv.errors import ConfigurationError
from minihv.spec.vhd import Footer, Header
from minihv.storage.checking import check, repair
from minihv.storage.disk import Outcome
from minihv.storage.opening import open_disk
from minihv.testing import Shares

NUMBERS = st.one_of(
    st.integers(0, 20),
    st.sampled_from((511, 512, 513, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)),
    st.integers(0, (1 << 32) - 1),
)
WIDE = st.one_of(NUMBERS, st.sampled_from((1 << 40, 1 << 63, (1 << 64) - 1, (1 << 64) - 512)))
FOOTER = {name: member.byte_count for name, member in Footer.members().items() if name not in ("checksum",)}
HEADER = {name: member.byte_count for name, member in Header.members().items() if name not in ("checksum",)}


def lies(members: dict[str, int]) -> st.SearchStrategy[tuple[str, Any]]:
    """A member and what it is made to say."""

    def values(name: str) -> st.SearchStrategy[tuple[str, Any]]:
        size = members[name]
        if size <= 8 and name not in ("cookie", "creator", "creator_host"):
            return WIDE.map(lambda number: (name, number & (1 << 8 * size) - 1))
        return st.binary(min_size=size, max_size=size).map(lambda data: (name, data))

    return st.sampled_from(sorted(members)).flatmap(values)


edits = st.lists(
    st.one_of(
        st.tuples(st.just("footer"), lies(FOOTER)),
        st.tuples(st.just("header"), lies(HEADER)),
        st.tuples(st.just("table"), st.tuples(st.integers(0, 7), NUMBERS)),
        st.tuples(st.just("table"), st.tuples(st.integers(0, 7), st.integers(0, 60))),
        st.tuples(st.just("bytes"), st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=40))),
        st.tuples(st.just("cut"), st.integers(0, 20_000)),
    ),
    min_size=1,
    max_size=3,
)


def tell_lies(path: Path, edits: list[tuple[str, Any]]) -> None:
    """Changes the image; sums are right where a part has one."""
    for where, what in edits:
        if where == "cut":
            path.write_bytes(path.read_bytes()[:what])
        elif path.stat().st_size < 4096:
            return
        elif where == "bytes":
            at, data = what
            patch(path, at % path.stat().st_size, data[: path.stat().st_size - at])
        elif where == "table":
            patch_table(path, *what)
        else:
            name, value = what
            (patch_footer if where == "footer" else patch_header)(path, **{name: value})


def use(path: Path) -> str:
    """Does with the image what a guest and its host would."""
    try:
        disk = open_disk(path, writable=True, kind="vhd")
    except ConfigurationError:
        return "refused"
    with disk:
        found = set()
        last = max(0, disk.sector_count - 1)
        for sector in {0, 1, 7, 8, 33, last}:
            found.add(disk.read(sector, bytearray(512)))
            found.add(disk.write(sector, sectors(b"w")))
        found |= {disk.trim(0, min(16, disk.sector_count)), disk.flush()}
        assert found <= set(Outcome)
        return "read-only" if disk.why_read_only else "used"


def test_image_that_lies_is_refused_or_is_a_disk() -> None:
    shares = Shares()

    @settings(max_examples=300)
    @example(edits=[("footer", ("data_offset", 1 << 63))], differs=False)
    @given(edits=edits, differs=st.booleans())
    def survives(edits: list[tuple[str, Any]], differs: bool) -> None:
        with TemporaryDirectory() as folder:
            below = dynamic(Path(folder, "p.vhd"), written={0: sectors(b"p", 20)})
            path = child(Path(folder, "c.vhd"), below, {8: sectors(b"c")}) if differs else below
            other, before = Path(folder, "other"), b"other"
            other.write_bytes(before)
            kept, size = below.read_bytes(), path.stat().st_size
            try:
                tell_lies(path, edits)
            except Exception:  # an edit that the last one made impossible
                return
            shares.add(use(path))
            check(path)
            shares.add("repaired" if repaired(path) else "beyond repair")
            assert other.read_bytes() == before
            assert not differs or below.read_bytes() == kept
            assert path.stat().st_size < size + (1 << 34), "a lie made the file grow"

    survives()
    shares.assert_floors({"refused": 0.1, "read-only": 0.02, "used": 0.1, "repaired": 0.1})


def repaired(path: Path) -> bool:
    """Whether a repair leaves an image that has no damage."""
    try:
        repair(path)
    except ConfigurationError:
        return False
    return not any(one.is_damage for one in check(path))
