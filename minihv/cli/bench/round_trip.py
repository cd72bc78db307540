"""Row ``ring.round-trip``: a packet from a child to its parent and back, beside a byte from a port.

Both are whole machines: a parent partition, a child, and every exit and interrupt between the two. The packet
is echoed by a VSP; the port is one of those that the child's worker answers, in ring 3 of the parent.

Next: ``minihv.cli.bench.startup``
"""

from minihv.cli.bench.rows import Effort, Goal, Row, nanoseconds, row
from minihv.errors import InternalError
from minihv.guests.image import Image, Segment
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.parent.partition import ParentPartition, parent_bytes, system_bytes
from minihv.parent.session import ParentSession
from minihv.terms import MIB, PAGE_BYTES, Gpa, Gva

GUEST, PACKETS = "20_echo", 200
"""It sends so many between its functions ``echo_round_trip``, entered first, and ``echo_sink``."""
CHILD_BYTES = 4 * MIB
ENTRY = Gpa(0x10_0000)
GOAL = Goal("value", "<=", 100)


def round_trip(effort: Effort) -> Row:
    """Microseconds for one of each."""
    name, reads = "ring.round-trip", effort.times(500)
    pairs = effort.pairs(name, packet_round_trip, lambda: port_read(reads))
    return row(name, "us", "a byte from a port that the parent answers", pairs, GOAL)


def packet_round_trip() -> float:
    """Of a packet of up to 2 KiB, the mean of what ``GUEST`` sends."""
    with ParentSession(GUEST, memory_bytes=CHILD_BYTES) as session:
        session.parent.begin(session.child)
        reach(session, "echo_round_trip")
        return nanoseconds(lambda: reach(session, "echo_sink"), PACKETS) / 1e3


def reach(session: ParentSession, function: str) -> None:
    """Runs until the child enters ``function``."""
    if not session.hypervisor.run_to(session.partition.vps[0], session.image.symbols[function]):
        raise InternalError(f"{GUEST} ended before it entered {function}: please report it.")


def port_read(count: int) -> float:
    """Of one byte, by a child that reads ``count``: mov ecx, count; 1: in al, 0x60; loop 1b; hlt."""
    code = b"\xb9" + count.to_bytes(4, "little") + bytes.fromhex("e460 e2fc f4")
    segment = Segment(Gva(ENTRY), ENTRY, code, PAGE_BYTES, True, True, True)
    image = Image("ports", Gva(ENTRY), (segment,), (), {}, 4)
    with Hypervisor(system_bytes(CHILD_BYTES)) as hypervisor:
        parent = ParentPartition(hypervisor, parent_bytes(CHILD_BYTES))
        parent.begin(parent.create_child("ports", CHILD_BYTES, image=image, start=False))
        return nanoseconds(parent.settle, count) / 1e3
