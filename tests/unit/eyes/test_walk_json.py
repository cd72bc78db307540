"""The picture of a walk for programs."""

import json

from builders import PRESENT, USER_READ
from looked_at import GVA, LookedAt

MAPPED = {
    "title": "a test's",
    "gva": "0x123445678123",
    "access": {"kind": "read", "ring": 0, "ac": False},
    "outcome": "mapped",
    "gpa": "0x9123",
    "spa": "0x29123",
    "page_bytes": 4096,
    "second_page_bytes": 4096,
    "rights": {"readable": True, "writable": True, "executable": True, "user": True, "dirty": False},
    "reference_count": 24,
    "refusal": None,
}


def test_mapped_walk_has_addresses_rights_and_references() -> None:
    made = LookedAt().walk(title="a test's").to_json()
    assert len(made.pop("references")) == 24
    assert made == MAPPED


def test_reference_has_its_place_and_its_target() -> None:
    references = LookedAt().walk().to_json()["references"]
    assert references[19] == {
        "number": 20,
        "stage": "guest",
        "level": "PT",
        "index": 120,
        "gpa": "0x43c0",
        "spa": "0x243c0",
        "entry": "0x0000000000009007",
        "flags": ["P", "W", "U"],
        "target": {"kind": "page", "space": "gpa", "address": "0x9000"},
        "is_refused": False,
    }
    assert references[0]["target"] == {"kind": "table", "space": "spa", "address": "0x2000"}


def test_refusal_has_its_rule_and_its_bits() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 1, clear=4)
    refusal = guest.walk(USER_READ).to_json()["refusal"]
    bits = refusal.pop("error_bits")
    assert refusal == {
        "rule": "user",
        "sentence": "Ring 3 needs U = 1 at every level, and it is 0 in the PT entry (20).",
        "blamed": [20],
        "error_code": "0x5",
        "gpa": None,
        "on_table": None,
    }
    assert bits[2] == {"bit": 2, "name": "U", "value": 1}


def test_violation_has_its_gpa_and_absent_entry_no_target() -> None:
    guest = LookedAt()
    guest.second.with_entry(0x9000, 1, clear=PRESENT)
    made = guest.walk().to_json()
    assert (made["refusal"]["gpa"], made["refusal"]["on_table"]) == ("0x9123", False)
    assert made["references"][-1]["target"] is None and made["rights"] is None


def test_everything_is_json() -> None:
    assert json.loads(json.dumps(LookedAt().walk(gva=1 << 63).to_json()))["outcome"] == "not_canonical"
