import json

from command_line import CommandLine

from minihv.guests.catalogue import guests


def test_every_built_in_guest_is_listed(minihv: CommandLine) -> None:
    done = minihv("guests")
    assert done.status == 0
    assert [line.split()[0] for line in done.out.splitlines()[2:]] == [guest.name for guest in guests()]


def test_list_says_what_each_shows(minihv: CommandLine) -> None:
    shown = minihv("guests", "--plain").out
    assert all(guest.shows in shown for guest in guests())


def test_json_has_the_fields_of_every_guest(minihv: CommandLine) -> None:
    listed = json.loads(minihv("guests", "--json").out)
    assert listed == [
        {
            "name": guest.name,
            "title": guest.title,
            "shows": guest.shows,
            "vps": guest.default_vps,
            "memory_bytes": guest.memory_bytes,
            "needs_parent": guest.needs_parent,
        }
        for guest in guests()
    ]
