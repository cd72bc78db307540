from minihv.spec.vmbus import GpadlRange
from minihv.terms import PAGE_BYTES
from minihv.vmbus import limits

LARGEST_LENGTH = 0xFFF8
"""Of a GPADL, in a word of 16 bits."""
LINUX_NETWORK_BUFFERS = (31 << 20) + (16 << 20)
"""What Linux grants to each network device, at most."""


def test_linux_gets_what_it_asks_for() -> None:
    pages = LINUX_NETWORK_BUFFERS // PAGE_BYTES
    assert 4 * pages < limits.MAX_GRANTED_PAGES
    assert limits.MAX_GPADLS_PER_CHANNEL >= 3


def test_sixteen_of_the_largest_gpadls_may_be_half_received() -> None:
    assert 16 * LARGEST_LENGTH <= limits.MAX_HALF_RECEIVED_BYTES < 17 * LARGEST_LENGTH


def test_the_number_of_ranges_is_the_tighter_bound() -> None:
    assert limits.MAX_RANGES * (GpadlRange.byte_count + 8) < LARGEST_LENGTH


def test_every_channel_can_be_offered_while_actions_wait() -> None:
    assert limits.MAX_CHANNELS + 2 < limits.MAX_ACTIONS
