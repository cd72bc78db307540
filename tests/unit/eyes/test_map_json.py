"""A map of addresses for programs."""

import json

from builders import WRITABLE
from looked_at import LookedAt

from minihv.eyes.address_map import AddressMap, Limits, map_stage
from minihv.paging.access import StageName
from minihv.testing import page_table

RANGE = {
    "begin": "0x123445678000", "target": "0x9000", "bytes": 4096, "page_bytes": 4096, "page_count": 1,
    "writable": True, "executable": True, "user": True, "global": False, "accessed_count": 0,
    "dirty_count": 0, "what": "",
}  # fmt: skip
STAGE = {
    "stage": "guest", "root": "0x1000", "levels": 4, "ranges": [RANGE], "mapped_bytes": 4096,
    "page_count": 1, "tables_read": 4, "complete_below": None, "hidden_count": 0, "hidden": [],
    "reserved_count": 0,
}  # fmt: skip


def test_stage_has_its_ranges_and_its_totals() -> None:
    made = LookedAt().map("a test's").to_json()
    assert made["title"] == "a test's"
    assert made["stages"][0] == STAGE


def test_limit_and_hidden_tables_are_there() -> None:
    tables = page_table().maps(0x5000, to=0)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST, limits=Limits(tables=1))
    assert AddressMap((stage,)).to_json()["stages"][0]["complete_below"] == "0x0"
    guest = LookedAt()
    guest.second.with_entry(0x1000, 1, clear=WRITABLE)
    assert guest.map().to_json()["stages"][0]["hidden"] == [{"begin": "0x0", "table": "0x1000"}]


def test_everything_is_json() -> None:
    assert json.loads(json.dumps(LookedAt().map().to_json()))["stages"][1]["stage"] == "second"
