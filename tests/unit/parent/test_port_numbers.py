"""Numbers of ports and connections: no two mean the same, and all fit into 24 bits."""

from itertools import product

from minihv.parent import port_numbers as numbers
from minihv.spec.synic import ID_MASK

CHILDREN, VPS, FLAGS = (2, 3, 255, 256, 0xFFFE), (0, 1, 63), (1, 2, 2047)


def test_ports_of_the_parent_differ() -> None:
    made = [numbers.messages_from(child) for child in CHILDREN] + [numbers.events_of(flag) for flag in FLAGS]
    assert len(set(made)) == len(made) and max(made) <= ID_MASK


def test_connections_of_the_parent_differ() -> None:
    made = [
        number(child, vp)
        for child, vp in product(CHILDREN, VPS)
        for number in (numbers.message_connection, numbers.event_connection)
    ]
    assert len(set(made)) == len(made) and max(made) <= ID_MASK


def test_origin_of_a_message_says_which_child_it_was() -> None:
    assert [numbers.child_of_port(numbers.messages_from(child)) for child in CHILDREN] == list(CHILDREN)
