"""The contract of a disk: what is refused before anything is touched, and geometries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import SECTORS, dynamic, sectors

from minihv.storage.disk import Geometry, Outcome, geometry_of
from minihv.storage.opening import open_disk


@pytest.mark.parametrize(
    ("sector_count", "geometry"),
    [
        (20_480, Geometry(301, 4, 17)),
        (204_800, Geometry(1003, 12, 17)),
        (204_816, Geometry(1004, 12, 17)),
        (1_048_576, Geometry(1040, 16, 63)),
        (20_971_520, Geometry(20_805, 16, 63)),
        (66_059_279, Geometry(65_534, 16, 63)),
        (266_338_304, Geometry(65_278, 16, 255)),
        (65_535 * 16 * 255, Geometry(65_535, 16, 255)),
        (4_278_190_080, Geometry(65_535, 16, 255)),
    ],
)
def test_geometry_is_that_of_the_specification_s_rule(sector_count: int, geometry: Geometry) -> None:
    assert geometry_of(sector_count) == geometry


@given(st.integers(1, 1 << 33))
def test_geometry_never_has_more_sectors_than_the_disk(sector_count: int) -> None:
    found = geometry_of(sector_count)
    assert found.sector_count <= sector_count
    assert found.cylinders <= 65_535 and found.heads <= 16 and found.sectors_per_track <= 255


@pytest.mark.parametrize(
    ("sector", "byte_count"), [(SECTORS, 512), (SECTORS - 1, 1024), (-1, 512), (0, 100), (1 << 40, 512)]
)
def test_request_beyond_the_disk_or_of_half_a_sector_is_out_of_range(
    tmp_path: Path, sector: int, byte_count: int
) -> None:
    with open_disk(dynamic(tmp_path / "a.vhd"), writable=True) as disk:
        assert disk.read(sector, bytearray(byte_count)) is Outcome.OUT_OF_RANGE
        assert disk.write(sector, bytes(byte_count)) is Outcome.OUT_OF_RANGE
        if byte_count % 512 == 0:
            assert disk.trim(sector, byte_count // 512) is Outcome.OUT_OF_RANGE


def test_disk_that_was_opened_to_be_read_refuses_to_be_written(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={3: sectors(b"abc")})
    before = path.read_bytes()
    with open_disk(path) as disk:
        assert disk.write(3, sectors(b"x")) is Outcome.READ_ONLY
        assert disk.trim(0, 8) is Outcome.READ_ONLY
        assert disk.flush() is Outcome.DONE
    assert path.read_bytes() == before


def test_request_of_no_sector_is_done(tmp_path: Path) -> None:
    with open_disk(dynamic(tmp_path / "a.vhd"), writable=True) as disk:
        assert disk.read(0, b"") is disk.write(SECTORS, b"") is Outcome.DONE
