"""An image of any kind is a plain array of sectors, and whatever kills its writer, it holds what was
flushed.
"""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from mortal_files import ModelDisk, MortalFile

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.checking import Finding, check
from minihv.storage.disk import Disk, Outcome
from minihv.storage.making import make_differencing, make_dynamic, make_fixed
from minihv.storage.opening import open_disk, open_file
from minihv.testing import Shares

BLOCK = 4096
ENOUGH_FOR_SHARES = 100
"""Examples, under the sanitizers too: of fewer a share says little."""
SECTORS = st.integers(0, 127)
COUNTS = st.sampled_from((1, 1, 2, 7, 8, 9, 24))


class Image(RuleBasedStateMachine):
    """One image with its model. A crash leaves some of what was not flushed."""

    shares: Shares
    kind: str

    @initialize(
        sectors=st.sampled_from((1, 8, 57, 100)),
        seed=st.integers(0, 1 << 32),
        first=st.none() | SECTORS,
    )
    def begin(self, sectors: int, seed: int, first: int | None) -> None:
        self.folder = TemporaryDirectory()
        self.path, self.random = Path(self.folder.name, "disk.vhd"), Random(seed)
        self.model = ModelDisk(sectors)
        if self.kind == "fixed":
            make_fixed(self.path, sectors * SECTOR_BYTES)
        elif self.kind == "dynamic":
            make_dynamic(self.path, sectors * SECTOR_BYTES, block_bytes=BLOCK)
        else:
            self.make_chain(sectors)
        self.number, self.happened = 0, {"run"}
        self.disk: Disk = self.open()
        if first is not None:  # half of all images are written to before anything else happens to them
            self.write(first, 1, fua=False)

    def make_chain(self, sectors: int) -> None:
        """A child over a parent that holds something."""
        below = self.path.with_name("parent.vhd")
        make_dynamic(below, sectors * SECTOR_BYTES, block_bytes=BLOCK)
        with open_disk(below, writable=True) as parent:
            for sector in range(0, sectors, 3):
                data = b"p" * SECTOR_BYTES
                assert parent.write(sector, data) is Outcome.DONE
                self.model.write(sector, data)
        self.model.flush()
        make_differencing(self.path, below)

    def open(self) -> Disk:
        """The image, in a file that remembers what was flushed."""
        self.file = MortalFile(self.path, writable=True)
        disk = open_file(self.file, None, ())
        assert not disk.why_read_only
        return disk

    def on_the_disk(self, sector: int, count: int) -> tuple[int, int]:
        """Sectors of the disk, but for a few that lie partly behind it."""
        size = self.model.sector_count
        sector %= size
        return sector, count if sector % 13 == 7 else min(count, size - sector)

    def fresh(self, count: int) -> bytes:
        """Sectors that nobody has written before."""
        self.number += 1
        return self.number.to_bytes(4, "little") * (count * SECTOR_BYTES // 4)

    @rule(sector=SECTORS, count=COUNTS, fua=st.sampled_from((False, False, False, True)))
    def write(self, sector: int, count: int, fua: bool) -> None:
        sector, count = self.on_the_disk(sector, count)
        data = self.fresh(count)
        if sector + count > self.model.sector_count:
            assert self.disk.write(sector, data, fua=fua) is Outcome.OUT_OF_RANGE
            return
        assert self.disk.write(sector, data, fua=fua) is Outcome.DONE
        self.model.write(sector, data)
        if fua:
            self.model.flush()
        self.happened.add("written")

    @rule(sector=SECTORS, count=COUNTS)
    def trim(self, sector: int, count: int) -> None:
        sector, count = self.on_the_disk(sector, count)
        if sector + count > self.model.sector_count:
            assert self.disk.trim(sector, count) is Outcome.OUT_OF_RANGE
            return
        assert self.disk.trim(sector, count) is Outcome.DONE
        self.model.write(sector, bytes(count * SECTOR_BYTES))
        self.happened.add("trimmed")

    @rule(sector=SECTORS, count=COUNTS)
    def read(self, sector: int, count: int) -> None:
        sector, count = self.on_the_disk(sector, count)
        found = bytearray(count * SECTOR_BYTES)
        outcome = self.disk.read(sector, found)
        if sector + count > self.model.sector_count:
            assert outcome is Outcome.OUT_OF_RANGE
        else:
            assert outcome is Outcome.DONE
            assert found == self.model.now[sector * SECTOR_BYTES :][: len(found)]

    @rule()
    def flush(self) -> None:
        assert self.disk.flush() is Outcome.DONE
        self.model.flush()

    @rule()
    def reopen(self) -> None:
        self.disk.close()
        self.model.flush()
        assert self.harmless(check(self.path))
        self.disk = self.open()

    @rule(loses_power=st.booleans())
    def crash(self, loses_power: bool) -> None:
        """The writer is killed, or its machine; then the image is opened by somebody else."""
        left = self.file.after_power_loss(self.random) if loses_power else self.path.read_bytes()
        self.drop()
        self.path.write_bytes(left)
        assert not any(one.is_damage for one in check(self.path))
        self.disk = self.open()
        assert self.model.survived(self.content()) == []
        assert self.harmless(check_while_open(self.path))
        self.happened.add("lost power" if loses_power else "killed")

    def harmless(self, findings: list[Finding]) -> bool:
        """Nothing is wrong, unless what was trimmed left holes."""
        return not findings or ("trimmed" in self.happened and not any(one.is_damage for one in findings))

    def drop(self) -> None:
        """Nothing is flushed any more."""
        self.file.close()
        parent = getattr(self.disk, "parent", None)
        if parent is not None:
            parent.close()

    def content(self) -> bytes:
        """All sectors."""
        found = bytearray(self.model.sector_count * SECTOR_BYTES)
        assert self.disk.read(0, found) is Outcome.DONE
        return bytes(found)

    @invariant()
    def next_data_skips_nothing_but_zeros(self) -> None:
        sector = self.disk.next_data(0)
        assert not any(self.model.now[: sector * SECTOR_BYTES])

    def teardown(self) -> None:
        if hasattr(self, "disk"):
            self.drop()
            self.folder.cleanup()
            for what in self.happened:
                self.shares.add(what)


def check_while_open(path: Path) -> list[Finding]:
    """What is wrong with the bytes of an image that somebody uses."""
    copy = path.with_name("copy.vhd")
    copy.write_bytes(path.read_bytes())
    return check(copy)


@pytest.mark.parametrize("kind", ["dynamic", "differencing", "fixed"])
def test_image_is_an_array_of_sectors_and_survives_its_writer(kind: str) -> None:
    Image.shares, Image.kind = Shares(), kind
    examples = max(ENOUGH_FOR_SHARES, settings().max_examples)
    run_state_machine_as_test(Image, settings=settings(max_examples=examples, stateful_step_count=40))
    Image.shares.assert_floors({"written": 0.1, "killed": 0.03, "lost power": 0.03})
