"""The storage service against guests of all kinds: those that mean well find a plain array, others nothing.

Whatever a guest sends, nothing is raised, no byte changes outside of the pages that its packet names, and no
disk changes but the one that it may write to.
"""

from hypothesis import event, given, settings
from hypothesis import strategies as st
from scsi_guests import MEMORY_PAGES, MemoryDisk, StorageGuest, cdb_of, range_of, ready
from synthetic_guests import FakePacket, send

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.scsi_disk import COMMANDS
from minihv.spec.scsi import Command
from minihv.spec.vmbus_ring import PacketKind
from minihv.spec.vstor import Direction, Operation, ScsiRequest, SrbStatus, VstorPacket
from minihv.terms import PAGE_BYTES
from minihv.testing.outcomes import Shares
from minihv.vmbus.packets import Range

SECTORS = 64
ADDRESS = st.integers(0, SECTORS + 2)
COUNT = st.integers(0, 12)


def machine() -> tuple[StorageGuest, MemoryDisk, MemoryDisk]:
    """A guest with a disk, and a disk of somebody else behind another controller."""
    controller, mine, other = ScsiController(), MemoryDisk(SECTORS), MemoryDisk(SECTORS)
    controller.attach(mine, "MINE")
    ScsiController().attach(other, "OTHER")
    guest = ready(controller)
    guest.request(bytes(6))  # says that disks have come
    return guest, mine, other


@given(
    st.lists(st.tuples(st.sampled_from(["read", "write", "unmap"]), ADDRESS, COUNT, st.binary(max_size=8)))
)
def test_disk_behind_the_service_is_a_plain_array(steps: list[tuple[str, int, int, bytes]]) -> None:
    guest, disk, _ = machine()
    plain = bytearray(SECTORS * 512)
    for what, sector, count, text in steps:
        size, fits = count * 512, sector + count <= SECTORS
        if what == "read":
            answer = guest.request(
                cdb_of(Command.READ_16, sector, count), direction=Direction.READ, data_bytes=size
            )
            if fits:
                assert guest.memory[:size] == plain[sector * 512 :][:size]
        elif what == "write":
            guest.memory[:size] = (text * size)[:size].ljust(size, b"\1")
            answer = guest.request(
                cdb_of(Command.WRITE_10, sector, count), direction=Direction.WRITE, data_bytes=size
            )
            if fits:
                plain[sector * 512 : sector * 512 + size] = guest.memory[:size]
        else:
            found = (
                bytes([0, 22, 0, 16, 0, 0, 0, 0])
                + sector.to_bytes(8, "big")
                + count.to_bytes(4, "big")
                + bytes(4)
            )
            guest.memory[:24] = found
            answer = guest.request(cdb_of(Command.UNMAP, 0, 24), direction=Direction.WRITE, data_bytes=24)
            if fits:
                plain[sector * 512 : sector * 512 + size] = bytes(size)
        assert answer.srb_status == (SrbStatus.SUCCESS if fits else SrbStatus.ERROR | 0x80)
        event("fits" if fits else "beyond the end")
    assert disk.content == plain


RANGES = st.lists(
    st.builds(
        lambda count, offset, pfns: Range(count, offset, tuple(pfns)),
        st.integers(0, 4 * PAGE_BYTES),
        st.integers(0, PAGE_BYTES - 1),
        st.lists(st.integers(0, MEMORY_PAGES + 2), min_size=6, max_size=6),
    ),
    max_size=2,
)
REQUESTS = st.builds(
    lambda command, rest, members: bytes(
        ScsiRequest.build(cdb_or_sense=(bytes([command]) + rest).ljust(20, b"\0")[:20], **members)
    ),
    st.sampled_from(sorted(COMMANDS)) | st.sampled_from(sorted(COMMANDS)) | st.integers(0, 255),
    st.just(bytes(15))
    | st.binary(max_size=15)
    | st.builds(lambda n: bytes([0, 0, 0, 0, n, 0, 0, n]), st.integers(0, 9)),
    st.fixed_dictionaries(
        {
            "cdb_bytes": st.sampled_from([16, 16, 16, 12, 10, 6]) | st.integers(0, 255),
            "sense_bytes": st.integers(0, 255),
            "direction": st.sampled_from([2, 2, 1, 0, 1, 3]),
            "data_bytes": st.sampled_from([0, 0, 512, 2048]) | st.integers(0, (1 << 32) - 1),
            "lun": st.sampled_from([0, 0, 1]),
        }
    ),
)
OPERATIONS = st.sampled_from([Operation.EXECUTE_SRB] * 8 + list(Operation)) | st.integers(0, 20)
Packet = tuple[int, bytes, list[Range]]


def well_formed(writes: bool, sector: int, count: int, lun: int) -> Packet:
    """A request as a driver sends it, that may be for sectors or a disk that there are not."""
    command, direction = (Command.WRITE_10, Direction.WRITE) if writes else (Command.READ_16, Direction.READ)
    cdb = cdb_of(command, sector, count)
    body = ScsiRequest.build(
        cdb_or_sense=cdb.ljust(20, b"\0"),
        cdb_bytes=len(cdb),
        sense_bytes=20,
        direction=direction,
        data_bytes=count * 512,
        lun=lun,
    )
    return Operation.EXECUTE_SRB, bytes(body), [range_of(0, count * 512)]


PACKETS: st.SearchStrategy[Packet] = st.one_of(
    st.tuples(OPERATIONS, REQUESTS, RANGES),
    st.tuples(OPERATIONS, REQUESTS, RANGES),
    st.tuples(OPERATIONS, st.binary(max_size=36), RANGES),
    st.builds(well_formed, st.booleans(), ADDRESS, st.integers(1, 8), st.sampled_from([0, 0, 1])),
)


def outcome_of(answer: VstorPacket) -> str:
    """What became of a request."""
    status = ScsiRequest(bytearray(answer.body)).srb_status & 0x3F
    return SrbStatus(status).name if answer.status == 0 else "refused"


SHARES = Shares()


@settings(max_examples=300)
@given(st.lists(PACKETS, min_size=1, max_size=30))
def test_guest_that_sends_anything_harms_itself_only(packets: list[Packet]) -> None:
    guest, _, other = machine()
    for operation, body, ranges in packets:
        before = bytes(guest.memory)
        payload = bytes(VstorPacket.build(operation=operation, flags=1, body=body.ljust(36, b"\0")))
        kind = PacketKind.GPA_DIRECT if ranges else PacketKind.IN_BAND
        send(guest.service, guest.channel, FakePacket(payload.ljust(64, b"\0"), kind, 1, 7, tuple(ranges)))
        answer = VstorPacket(bytearray(guest.channel.to_guest.pop().payload))
        if operation == Operation.EXECUTE_SRB:
            SHARES.add(outcome_of(answer))
        named = {pfn for one in ranges for pfn in one.pfns}
        changed = {
            page
            for page in range(MEMORY_PAGES)
            if guest.memory[page * PAGE_BYTES :][:PAGE_BYTES] != before[page * PAGE_BYTES :][:PAGE_BYTES]
        }
        assert changed <= named
    assert not any(other.content)


def test_what_was_sent_reached_every_outcome() -> None:
    """Some requests are done, some fail, some find nobody, and some are refused."""
    test_guest_that_sends_anything_harms_itself_only()
    floors = {"SUCCESS": 0.05, "ERROR": 0.02, "INVALID_LUN": 0.02, "refused": 0.02}
    assert not SHARES.missed(floors), SHARES
