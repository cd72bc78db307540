import pytest

from minihv.terms import PAGE_BYTES
from minihv.vmbus.ends import NATIVE, REFERENCE, Ends
from minihv.vmbus.packets import Packet
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Empty


@pytest.mark.parametrize("reading", [NATIVE, REFERENCE], ids=["native", "reference"])
@pytest.mark.parametrize("writing", [NATIVE, REFERENCE], ids=["native", "reference"])
def test_either_end_understands_the_other(reading: Ends, writing: Ends) -> None:
    pages = RingPages.of(bytearray(2 * PAGE_BYTES))
    reader, writer = reading.reader(pages), writing.writer(pages)
    writer.write(Packet(6, b"a packet"))
    assert reader.read_batch(4) == Empty()
    assert writer.commit_write()
    assert reader.read_batch(4) == [Packet(6, b"a packet")]
    assert not reader.commit_read() and writer.position == writer.published == 32
