"""A fixed VHD: a raw disk with a footer behind it.

Stands for: a virtual hard disk that takes all its space from the beginning.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Fixed Hard Disk Image".
Next: ``minihv.storage.vhd_growing``
"""

from minihv.spec.vhd import FOOTER_BYTES, SECTOR_BYTES, Footer
from minihv.storage.disk import Geometry
from minihv.storage.host_file import HostFile
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_format import ImageError


class FixedVhd(RawDisk):
    """The image in ``file``, which ends with ``footer``.

    Raises:
        ImageError: the file is shorter than the disk.
    """

    def __init__(self, file: HostFile, footer: Footer) -> None:
        if footer.current_bytes + FOOTER_BYTES > file.byte_count:
            raise ImageError(
                f"A fixed VHD holds its whole disk and a footer, {footer.current_bytes + FOOTER_BYTES} "
                f"bytes, and {file.path} has {file.byte_count}: it was cut off."
            )
        super().__init__(file, sector_count=footer.current_bytes // SECTOR_BYTES)
        self.footer = footer

    @property
    def geometry(self) -> Geometry:
        """As the footer has it."""
        return Geometry(self.footer.cylinders, self.footer.heads, self.footer.sectors_per_track)
