"""A map of addresses as numbers, strings and lists, for programs. The book describes every name.

Next: ``minihv.eyes.guest``
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minihv.eyes.address_map import AddressMap, MappedRange, StageMap


def map_json(picture: "AddressMap") -> dict[str, Any]:
    """All of a map. Addresses are strings: some readers' numbers have too few bits."""
    return {"title": picture.title, "stages": [stage_json(stage) for stage in picture.stages]}


def stage_json(stage: "StageMap") -> dict[str, Any]:
    """One stage."""
    return {
        "stage": stage.stage.value,
        "root": hex(stage.root),
        "levels": stage.levels,
        "ranges": [range_json(one) for one in stage.ranges],
        "mapped_bytes": sum(one.byte_count for one in stage.ranges),
        "page_count": sum(one.page_count for one in stage.ranges),
        "tables_read": stage.tables_read,
        "complete_below": None if stage.complete_below is None else hex(stage.complete_below),
        "hidden_count": stage.hidden_count,
        "hidden": [{"begin": hex(begin), "table": hex(table)} for begin, table in stage.hidden],
        "reserved_count": stage.reserved_count,
    }


def range_json(one: "MappedRange") -> dict[str, Any]:
    """One range."""
    return {
        "begin": hex(one.begin),
        "target": hex(one.target),
        "bytes": one.byte_count,
        "page_bytes": one.page_bytes,
        "page_count": one.page_count,
        "writable": one.writable,
        "executable": one.executable,
        "user": one.user,
        "global": one.is_global,
        "accessed_count": one.accessed_count,
        "dirty_count": one.dirty_count,
        "what": one.what,
    }
