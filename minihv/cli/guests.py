"""``minihv guests``: the built-in programs.

Next: ``minihv.guests.catalogue``
"""

from minihv.cli.output import is_plain, print_json, print_table
from minihv.guests.catalogue import guests


def list_guests(*, as_json: bool, plain: bool) -> int:
    """Prints every built-in program and what it shows."""
    found = guests()
    if as_json:
        print_json(
            [
                {"name": guest.name, "title": guest.title, "shows": guest.shows, "vps": guest.default_vps,
                 "memory_bytes": guest.memory_bytes, "needs_parent": guest.needs_parent}
                for guest in found
            ]
        )  # fmt: skip
    else:
        rows = [
            (guest.name, guest.default_vps, "parent" if guest.needs_parent else "", guest.shows)
            for guest in found
        ]
        heading = ("name", "VPs", "needs", "shows")
        print_table("Built-in guests: minihv run NAME", heading, rows, plain=is_plain(plain))
    return 0
