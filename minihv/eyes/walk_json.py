"""The picture of a walk as numbers, strings and lists, for programs. The book describes every name.

Next: ``minihv.eyes.address_map``
"""

from typing import TYPE_CHECKING, Any

from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.walk import Mapping

if TYPE_CHECKING:
    from minihv.eyes.walk_picture import SeenEntry, WalkPicture


def walk_json(picture: "WalkPicture") -> dict[str, Any]:
    """All of a picture. Addresses and entries are strings: some readers' numbers have too few bits."""
    found, access = picture.found, picture.access
    mapping = found if isinstance(found, Mapping | NestedMapping) else None
    return {
        "title": picture.title,
        "gva": hex(picture.gva),
        "access": {"kind": access.kind.name.lower(), "ring": 3 if access.by_user else 0, "ac": access.ac},
        "outcome": picture.outcome,
        "gpa": in_hex(picture.gpa),
        "spa": in_hex(picture.spa),
        "page_bytes": mapping.page_bytes if mapping else None,
        "second_page_bytes": found.second_page_bytes if isinstance(found, NestedMapping) else None,
        "rights": rights(mapping) if mapping else None,
        "reference_count": len(picture.references),
        "references": [entry_json(one) for one in picture.references],
        "refusal": refusal(picture),
    }


def rights(found: Mapping | NestedMapping) -> dict[str, bool]:
    """What the same accessor may do with the page, and whether it is ring 3's."""
    return {name: getattr(found, name) for name in ("readable", "writable", "executable", "user", "dirty")}


def entry_json(one: "SeenEntry") -> dict[str, Any]:
    """One reference."""
    target = None
    if one.target is not None:
        kind = "page" if one.is_page else "table"
        target = {"kind": kind, "space": one.target_space.lower(), "address": hex(one.target)}
    return {
        "number": one.number,
        "stage": one.stage.value,
        "level": one.level.name,
        "index": one.index,
        "gpa": in_hex(one.gpa),
        "spa": in_hex(one.spa),
        "entry": f"{one.entry:#018x}",
        "flags": list(one.flags),
        "target": target,
        "is_refused": one.is_refused,
    }


def refusal(picture: "WalkPicture") -> dict[str, Any] | None:
    """Why the access was refused, if it was."""
    reason = picture.reason
    if reason is None:
        return None
    found = picture.found
    bits = [{"bit": one.bit, "name": one.name, "value": int(one.value)} for one in picture.error_bits]
    return {
        "rule": reason.rule.value,
        "sentence": reason.sentence,
        "blamed": list(reason.blamed),
        "error_code": in_hex(picture.error_code),
        "error_bits": bits,
        "gpa": hex(found.gpa) if isinstance(found, Violation) else None,
        "on_table": found.on_table if isinstance(found, Violation) else None,
    }


def in_hex(address: int | None) -> str | None:
    """An address that there may be."""
    return None if address is None else hex(address)
