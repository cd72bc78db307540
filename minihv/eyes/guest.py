"""What a guest's tables look like at a moment of its run: goes there, and makes the pictures.

Stands for: a debugger that has stopped the machine.
Spec: AMD APM vol. 2, "CR3 Register" and "Nested Paging": what steers both stages.
Next: ``minihv.cli.eyes``
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from minihv.errors import ConfigurationError, nearest
from minihv.eyes.address_map import AddressMap, Limits, map_stage
from minihv.eyes.lines import counted, printable
from minihv.eyes.walk_picture import WalkPicture, picture_walk
from minihv.guests.image import Image
from minihv.guests.session import GuestSession, stop_reason
from minihv.hypervisor.cpuid import PHYSICAL_BITS
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.vp import VirtualProcessor
from minihv.paging.access import Access, AccessKind, Paging, StageName
from minihv.spec.x86_registers import Cr0, Cr4, Efer, Rflags
from minihv.terms import PAGE_BYTES, Gva

NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
ADDRESS = re.compile(r"(?P<base>.+?)(?:\+(?P<offset>0[xX][0-9a-fA-F]+|[0-9]+))?")
FAR = 0x10000
"""An address that is so far behind a symbol is no longer named by it."""

Progress = Callable[[int], None]


def guest_paging(vp: VirtualProcessor) -> Paging:
    """What steers the first stage of a walk for ``vp`` now."""
    cr0, cr4, efer = vp.read("cr0"), vp.read("cr4"), vp.read("efer")
    return Paging(
        root=vp.read("cr3"),
        levels=0 if not cr0 & Cr0.PG else 5 if cr4 & Cr4.LA57 else 4,
        physical_bits=PHYSICAL_BITS,
        nxe=bool(efer & Efer.NXE),
        wp=bool(cr0 & Cr0.WP),
        smep=bool(cr4 & Cr4.SMEP),
        smap=bool(cr4 & Cr4.SMAP),
    )


def second_paging(vp: VirtualProcessor) -> Paging:
    """What steers the second stage: the tables of the partition's GPA space, whoever walks them."""
    return Paging(root=vp.partition.gpa_space.root, physical_bits=PHYSICAL_BITS)


def shadow_paging(vp: VirtualProcessor) -> Paging | None:
    """What steers the only stage, where the processor walks shadow tables; else None, or where none can be.

    They are made beside the guest's tables as they are needed, and so may lack what was not yet touched.
    """
    guest, shadow = guest_paging(vp), vp.partition.shadow
    root = shadow.root(guest) if shadow is not None and guest.levels else None
    return None if root is None else replace(guest, root=root, physical_bits=52, nxe=True, wp=True)


def ring_of(vp: VirtualProcessor) -> int:
    """The ring that ``vp`` is in."""
    return int(vp.save_area.cpl)


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a run: after so many ``blocks``, or when ``rip`` is reached; without either, its end."""

    blocks: int | None = None
    rip: Gva | None = None
    name: str = ""
    """What was asked for, in the asker's words."""


def parse_address(text: str, image: Image, what: str = "A GVA") -> Gva:
    """The number or the symbol that ``text`` is, with the offset behind it.

    Raises:
        ConfigurationError: it is neither, or has more than 64 bits.
    """
    parts = ADDRESS.fullmatch(text.strip())
    base, offset = (parts["base"], parts["offset"] or "0") if parts else ("", "0")
    if NUMBER.fullmatch(base):
        address = number(base)
    elif base in image.symbols:
        address = image.symbols[base]
    else:
        hint = nearest(base, image.symbols) or f": nm {image.name} lists them."
        if not image.symbols:
            hint = f", which has none: link {image.name} without stripping it."
        raise ConfigurationError(
            f"{what} is a number or a symbol of the guest, with +OFFSET behind it or not, "
            f"and {text!r} names no symbol of {image.name}{hint}"
        )
    address += number(offset)
    if address >> 64:
        raise ConfigurationError(f"{what} has 64 bits, and {text!r} is {address:#x}: take some digits away.")
    return Gva(address)


def number(text: str) -> int:
    """A number in hexadecimal (``0x``) or in decimal."""
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)


def parse_point(texts: list[str], image: Image) -> Point:
    """The moment that ``--at`` names: a decimal number of blocks, or an address in the code.

    Raises:
        ConfigurationError: there are several, or it is neither.
    """
    if not texts:
        return Point()
    if len(texts) > 1:
        both = " and ".join(repr(text) for text in texts)
        raise ConfigurationError(f"A guest is looked at in one moment, and --at was given {both}: leave one.")
    text = texts[0]
    if text.isdecimal() and text.isascii():
        return Point(blocks=int(text), name=f"{text} blocks")
    return Point(rip=parse_address(text, image, "The point for --at"), name=text)


def go_to(
    session: GuestSession, point: Point, vp: VirtualProcessor, progress: Progress | None = None
) -> None:
    """Runs the guest to ``point``, or to its end where it comes first.

    Raises:
        ConfigurationError: the guest ended and ``vp`` never came to the address.
    """
    hypervisor = session.hypervisor
    if point.rip is None:
        hypervisor.run(point.blocks, progress)
    elif not hypervisor.run_to(vp, point.rip, progress=progress):
        stopped, why = stop_reason(session.partition)
        raise ConfigurationError(
            f"VP {vp.index} of {session.guest} must come to {point.name} ({point.rip:#x}) to be looked at "
            f"there, and the guest ended before ({stopped}: {why}): choose a point that it executes."
        )


def vp_of(session: GuestSession, index: int) -> VirtualProcessor:
    """VP ``index`` of the guest, or a refusal that says which there are."""
    vps = session.partition.vps
    if not 0 <= index < len(vps):
        raise ConfigurationError(
            f"{session.guest} has {counted(len(vps), 'VP')}, counted from 0, and VP {index} is not among "
            "them: choose another --vp, or give it more --vps."
        )
    return vps[index]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a VP is in its code, and how far its guest has come."""

    guest: str
    vp: int
    rip: int
    symbol: str
    """The nearest symbol with the way from there; nothing if none is near."""
    ring: int
    blocks: int
    """Of all VPs of the guest together."""
    stopped: str
    """``budget`` where the guest could go on; else as in the report of a run."""

    def __str__(self) -> str:
        where = f"{self.rip:#x}" + (f" ({self.symbol})" if self.symbol else "")
        state = "stopped" if self.stopped == "budget" else self.stopped
        blocks = counted(self.blocks, "block")
        vp = f"VP {self.vp} at RIP {where} in ring {self.ring}"
        return f"{printable(self.guest)}, {vp}, {state} after {blocks}"

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self) | {"rip": hex(self.rip)}


def place_of(session: GuestSession, vp: VirtualProcessor) -> Place:
    """Where ``vp`` is now."""
    rip = vp.read("rip")
    blocks = sum(int(one.counters.blocks) for one in session.partition.vps)
    stopped, _ = stop_reason(session.partition)
    symbol = symbol_at(session.image, rip)
    return Place(session.guest, vp.index, rip, symbol, ring_of(vp), blocks, stopped)


def symbol_at(image: Image, address: int) -> str:
    """The nearest symbol at or below ``address``, with the way from there; nothing if none is near."""
    if not any(segment.gva <= address < segment.gva + segment.memory_bytes for segment in image.segments):
        return ""
    ordered = sorted((at, name) for name, at in image.symbols.items())
    found = bisect_right(ordered, address, key=lambda pair: pair[0]) - 1
    if found < 0 or address - ordered[found][0] >= FAR:
        return ""
    at = ordered[found][0]
    name = next(name for begin, name in ordered if begin == at)
    return printable(name) + (f"+{address - at:#x}" if address != at else "")


def look_at_walk(
    session: GuestSession,
    gva: int,
    *,
    kind: AccessKind = AccessKind.READ,
    ring: int | None = None,
    vp_index: int = 0,
) -> WalkPicture:
    """The walk that an access of a VP to ``gva`` would make now. Nothing in the machine changes.

    It is that of the processor: under shadow paging one of the shadow tables, whose refusal is an exit.
    Without a ``ring`` the access is made from the one that the VP is in.

    Raises:
        ConfigurationError: the VP runs without paging.
    """
    vp = vp_of(session, vp_index)
    access = Access(
        kind,
        user=(ring_of(vp) if ring is None else ring) == 3,
        ac=bool(vp.read("rflags") & Rflags.AC),
    )
    memory, shadow, title = session.hypervisor.memory, shadow_paging(vp), str(place_of(session, vp))
    if not guest_paging(vp).levels:
        raise ConfigurationError(
            f"A walk needs tables, and VP {vp_index} of {session.guest} runs without paging (CR0.PG = 0), "
            "where a GVA is a GPA: choose a later moment with --at, or another --vp."
        )
    if shadow is not None:
        return picture_walk(memory, shadow, gva, access, stage=StageName.SHADOW, title=title)
    return picture_walk(memory, guest_paging(vp), gva, access, second=second_paging(vp), title=title)


def look_at_map(session: GuestSession, vp_index: int = 0, limits: Limits | None = None) -> AddressMap:
    """All mappings of a VP's tables and of its partition. Nothing in the machine changes."""
    vp = vp_of(session, vp_index)
    memory, guest, second = session.hypervisor.memory, guest_paging(vp), second_paging(vp)
    names = names_of(session.partition)
    first = [map_stage(memory, guest, StageName.GUEST, second=second, limits=limits)] if guest.levels else []
    below = map_stage(memory, second, StageName.SECOND, names=names, limits=limits)
    shadow = shadow_paging(vp)
    between = [] if shadow is None else [map_stage(memory, shadow, StageName.SHADOW, limits=limits)]
    return AddressMap((*first, *between, below), str(place_of(session, vp)))


def names_of(partition: Partition) -> dict[int, str]:
    """What lies at those pages of a partition that are not simply its RAM."""
    return {overlay.gpa & -PAGE_BYTES: overlay.what for overlay in partition.gpa_space.overlays}
