from uuid import UUID

import pytest
from vmbus_client import Device

from minihv.errors import ConfigurationError
from minihv.spec.vmbus import OfferChannel, OfferFlags, PipeMode
from minihv.vmbus.offers import Offer, OfferedChannel, OfferTable

OFFER = Offer(UUID(int=1), UUID(int=2))


def test_an_offer_is_laid_out_for_the_guest() -> None:
    offer = Offer(UUID(int=1), UUID(int=2), OfferFlags.SOCKET_PROVIDER, 8, b"mine", sub_channel=3)
    message = OfferChannel(OfferedChannel(5, offer, Device()).offer_message())
    assert (message.interface, message.instance) == (UUID(int=1), UUID(int=2))
    assert (message.flags, message.mmio_megabytes, message.sub_channel) == (0x2000, 8, 3)
    assert message.user_defined == b"mine".ljust(120, b"\0")
    assert (message.relid, message.connection_id, message.dedicated_interrupt) == (5, 0x2005, 1)
    assert message.monitor_allocated == message.monitor_id == 0


@pytest.mark.parametrize(("mode", "word"), [(PipeMode.BYTE, 0), (PipeMode.MESSAGE, 4)])
def test_a_pipe_says_its_mode_in_the_first_user_defined_word(mode: PipeMode, word: int) -> None:
    offer = Offer.pipe(UUID(int=1), UUID(int=2), mode)
    assert offer.flags == OfferFlags.ENUMERATE_DEVICE_INTERFACE | OfferFlags.NAMED_PIPE_MODE
    assert offer.user_defined == word.to_bytes(4, "little")


def test_an_offer_has_only_so_many_bytes_for_the_device() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Offer(UUID(int=1), UUID(int=2), user_defined=bytes(121))
    assert str(refusal.value) == (
        "An offer has at most 120 user-defined bytes, not 121: send the rest through the ring."
    )


def test_channels_get_the_lowest_free_number() -> None:
    table = OfferTable()
    assert [table.add(OFFER, Device()).relid for _ in range(3)] == [1, 2, 3]
    table.remove(2)
    assert table.get(2) is None and len(table) == 2
    assert table.add(OFFER, Device()).relid == 2
    assert [channel.relid for channel in table] == [1, 2, 3]


def test_a_new_channel_is_offered_and_not_told() -> None:
    channel = OfferTable().add(OFFER, Device())
    assert channel.state == "offered" and not channel.is_told
    channel.is_rescinded = True
    assert channel.state == "rescinded"
