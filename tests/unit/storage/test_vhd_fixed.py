"""A fixed image: the disk, and a footer behind it."""

from pathlib import Path

import pytest
from images import sectors

from minihv.spec.vhd import Footer
from minihv.storage.disk import Geometry, Outcome
from minihv.storage.making import make_fixed
from minihv.storage.opening import open_disk
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_format import ImageError


def test_disk_ends_before_the_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_fixed(path, 1 << 20)
    with open_disk(path, writable=True) as disk:
        assert isinstance(disk, FixedVhd)
        assert disk.sector_count == 2048 and disk.geometry == Geometry(30, 4, 17)
        assert disk.write(2047, sectors(b"z")) is Outcome.DONE
        assert disk.write(2048, sectors(b"z")) is Outcome.OUT_OF_RANGE
    data = path.read_bytes()
    assert len(data) == (1 << 20) + 512 and data[2047 * 512 : 2048 * 512] == b"z" * 512
    assert Footer(data[-512:]).disk_type == 2


def test_image_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_fixed(path, 1 << 20)
    data = path.read_bytes()
    path.write_bytes(data[512:])
    with pytest.raises(ImageError) as refused:
        open_disk(path)
    assert str(refused.value) == (
        f"A fixed VHD holds its whole disk and a footer, 1049088 bytes, and {path} has 1048576: it was cut "
        "off."
    )
