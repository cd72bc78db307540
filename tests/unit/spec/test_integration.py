"""Integration components, against the structures that the drivers of Linux declare."""

import pytest
from layout_tables import python_offsets, quoted

from minihv.spec.bits import Layout
from minihv.spec.integration import (
    UNIX_EPOCH,
    HeartbeatBody,
    IcFlags,
    IcHeader,
    Instance,
    Interface,
    KvpDelete,
    KvpEnumerate,
    KvpExchange,
    KvpRecord,
    Negotiate,
    PipeHeader,
    ShutdownBody,
    TimeBody,
    TimeReferenceBody,
    Version,
)

# Linux, include/linux/hyperv.h: vmbuspipe_hdr, icmsg_hdr, icmsg_negotiate, ic_version, heartbeat_msg_data,
# shutdown_msg_data, ictimesync_data, ictimesync_ref_data; include/uapi/linux/hyperv.h: hv_kvp_hdr and what
# follows it in hv_kvp_msg.
TABLES: dict[type[Layout], str] = {
    PipeHeader: """
type 0x00+4
length 0x04+4
""",
    IcHeader: """
framework_major 0x00+2
framework_minor 0x02+2
message_type 0x04+2
message_major 0x06+2
message_minor 0x08+2
body_bytes 0x0a+2
status 0x0c+4
transaction_id 0x10+1
flags 0x11+1
""",
    Negotiate: """
framework_count 0x00+2
message_count 0x02+2
""",
    Version: """
major 0x00+2
minor 0x02+2
""",
    HeartbeatBody: """
sequence 0x00+8
application_state 0x08+4
""",
    ShutdownBody: """
reason 0x00+4
timeout_seconds 0x04+4
flags 0x08+4
text 0x0c+2048
""",
    TimeBody: """
parent_time 0x00+8
child_time 0x08+8
round_trip 0x10+8
flags 0x18+1
""",
    TimeReferenceBody: """
parent_time 0x00+8
reference_time 0x08+8
flags 0x10+1
leap 0x11+1
stratum 0x12+1
""",
    KvpRecord: """
type 0x00+4
key_bytes 0x04+4
value_bytes 0x08+4
key 0x0c+512
value 0x20c+2048
""",
    KvpExchange: """
header 0x00+4
record 0x04+2572
""",
    KvpEnumerate: """
header 0x00+4
index 0x04+4
record 0x08+2572
""",
    KvpDelete: """
header 0x00+4
key_bytes 0x04+4
key 0x08+512
""",
}


@pytest.mark.parametrize("layout", TABLES, ids=lambda layout: layout.__name__)
def test_structure_lies_as_linux_declares_it(layout: type[Layout]) -> None:
    assert python_offsets(layout) == quoted(TABLES[layout])


def test_question_is_three_and_answer_five() -> None:
    assert IcFlags.TRANSACTION | IcFlags.REQUEST == 3
    assert IcFlags.TRANSACTION | IcFlags.RESPONSE == 5


def test_each_instance_belongs_to_an_interface() -> None:
    assert set(Instance.__members__) < set(Interface.__members__)


def test_unix_epoch_is_369_years_later() -> None:
    days = 369 * 365 + 89
    assert days * 86_400 * 10_000_000 == UNIX_EPOCH
