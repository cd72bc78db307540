"""The bytes with which a CD drive answers.

Stands for: the structures that MMC commands return.
Spec: INCITS, "SCSI Multimedia Commands - 5 (MMC-5)", "READ TOC/PMA/ATIP", "GET CONFIGURATION", "GET EVENT
    STATUS NOTIFICATION", "Mode Parameters"; "SCSI Primary Commands - 3 (SPC-3)", "INQUIRY", "Sense data".
Simplified: what drivers ask for, and the rest is zero.
Next: ``minihv.devices.emulated.cd_drive``
"""

import struct

from minihv.spec.mmc import (
    BLOCK_BYTES,
    CAPABILITIES_PAGE,
    DATA_TRACK,
    LEAD_OUT,
    MEDIA_CLASS,
    MOST_CD_BLOCKS,
    MSF_OFFSET,
    RECOVERY_PAGE,
    Feature,
    MediaEvent,
    Profile,
)
from minihv.spec.scsi import (
    CURRENT_ERROR,
    REMOVABLE,
    SPC_3,
    Capacity10,
    FixedSense,
    InquiryData,
    ModeHeader10,
    ModePage,
    PeripheralDevice,
)

VENDOR, PRODUCT, REVISION = b"Msft    ", b"Virtual CD/ROM  ", b"1.0 "
ATAPI_FORMAT = 0x32
NO_EVENT = 0x80
TRACK, SESSION = 0, 1
"""Forms of a table of contents."""
PAGES = {
    RECOVERY_PAGE: bytes((RECOVERY_PAGE, 10)) + bytes(10),
    CAPABILITIES_PAGE: struct.pack(
        ">BBBBBBBBHHHHHH", CAPABILITIES_PAGE, 18, 0x3B, 0, 0, 0, 0x29, 0, *(0,) * 6
    ),
}
"""Mode pages; the drive reads CDs and DVDs, has a tray, and can be locked."""
FEATURES: dict[Feature, tuple[int, bytes]] = {
    Feature.PROFILES: (0x02, b""),
    Feature.CORE: (0x0A, struct.pack(">IBxxx", 2, 1)),  # it is an ATAPI device
    Feature.REMOVABLE_MEDIUM: (0x0A, struct.pack(">Bxxx", 0x29)),
    Feature.RANDOM_READABLE: (0x00, struct.pack(">IHBx", BLOCK_BYTES, 1, 1)),
    Feature.CD_READ: (0x08, bytes(4)),
    Feature.DVD_READ: (0x04, bytes(4)),
}
"""Features: the version and whether they are always there, and their own bytes; profiles depend on the
disc.
"""
NEEDS = {Feature.CD_READ: Profile.CD_ROM, Feature.DVD_READ: Profile.DVD_ROM}


def number(cdb: bytes, at: int, byte_count: int) -> int:
    """A number of a packet, the highest byte first."""
    return int.from_bytes(cdb[at : at + byte_count], "big")


def sense_data(key: int, additional: int) -> bytes:
    """Sense data of 18 bytes, in the fixed format."""
    length = FixedSense.byte_count - 8
    return bytes(
        FixedSense.build(
            response_code=CURRENT_ERROR, key=key, additional_length=length, additional=additional
        )
    )


def inquiry() -> bytes:
    """Who the drive is."""
    return bytes(
        InquiryData.build(
            peripheral=PeripheralDevice.DISC,
            removable=REMOVABLE,
            version=SPC_3,
            response_format=ATAPI_FORMAT,
            additional_length=InquiryData.byte_count - 5,
            vendor=VENDOR,
            product=PRODUCT,
            revision=REVISION,
        )
    )


def capacity(block_count: int) -> bytes:
    """The last block, as far as 32 bits reach, and the bytes of one."""
    return bytes(Capacity10.build(last_block=min(block_count - 1, 0xFFFF_FFFF), block_bytes=BLOCK_BYTES))


def place(block: int, *, in_time: bool) -> bytes:
    """A block by its number, or by minute, second and frame."""
    if not in_time:
        return struct.pack(">I", min(block, 0xFFFF_FFFF))
    seconds, frame = divmod(block + MSF_OFFSET, 75)
    return bytes((0, min(seconds // 60, 255), seconds % 60, frame))


def contents(form: int, track: int, block_count: int, *, in_time: bool) -> bytes | None:
    """The table of contents from ``track`` on. None: there is no such form or track."""

    def entry(number: int, block: int) -> bytes:
        return bytes((0, DATA_TRACK, number, 0)) + place(block, in_time=in_time)

    if form == SESSION:
        entries = entry(1, 0)
    elif form == TRACK and (track <= 1 or track == LEAD_OUT):
        entries = (entry(1, 0) if track <= 1 else b"") + entry(LEAD_OUT, block_count)
    else:
        return None
    return struct.pack(">HBB", len(entries) + 2, 1, 1) + entries


def mode_pages(wanted: int) -> bytes | None:
    """One page, or every page, behind the header. None: there is no such page."""
    if wanted == ModePage.ALL:
        pages = b"".join(PAGES.values())
    elif wanted in PAGES:
        pages = PAGES[wanted]
    else:
        return None
    return bytes(ModeHeader10.build(length=ModeHeader10.byte_count - 2 + len(pages))) + pages


def profile(block_count: int) -> Profile:
    """What kind of disc has so many blocks; none has 0."""
    if not block_count:
        return Profile.NONE
    return Profile.CD_ROM if block_count <= MOST_CD_BLOCKS else Profile.DVD_ROM


def configuration(disc: Profile, first: int, *, one: bool, current: bool) -> bytes:
    """The features from number ``first`` on, only that one, or those of use with ``disc``."""
    found = b""
    for feature, (flags, own) in FEATURES.items():
        is_current = NEEDS.get(feature, disc) == disc
        if feature < first or (one and feature != first) or (current and not is_current):
            continue
        own = profiles(disc) if feature is Feature.PROFILES else own
        found += struct.pack(">HBB", feature, flags | is_current, len(own)) + own
    return struct.pack(">IHH", len(found) + 4, 0, disc) + found


def profiles(disc: Profile) -> bytes:
    """The profiles that the drive knows, and which is that of the disc."""
    return b"".join(struct.pack(">HBx", one, one == disc) for one in (Profile.DVD_ROM, Profile.CD_ROM))


def event(said: MediaEvent, *, wanted: bool, is_loaded: bool) -> bytes:
    """What has happened to the medium, if that was ``wanted``."""
    if not wanted:
        return struct.pack(">HBB", 2, NO_EVENT, 1 << MEDIA_CLASS)
    status = 2 if is_loaded else 1  # it is there, or the tray is open
    return struct.pack(">HBBBBBB", 6, MEDIA_CLASS, 1 << MEDIA_CLASS, said, status, 0, 0)
