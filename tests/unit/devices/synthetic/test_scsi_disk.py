"""What a SCSI disk does with commands: blocks in four lengths, sense for what fails, and bounds."""

import pytest
from images import sectors
from scsi_guests import MemoryDisk, cdb_of, execute, sense_of

from minihv.devices.synthetic.scsi_disk import COMMANDS, ScsiDisk, extent_of
from minihv.devices.synthetic.scsi_pages import MOST_BLOCKS, MOST_SAME_BLOCKS, MOST_UNMAP_BLOCKS
from minihv.spec.scsi import Additional, Command, SenseKey, UnmapDescriptor, UnmapList
from minihv.storage.disk import Outcome

READS = (Command.READ_6, Command.READ_10, Command.READ_12, Command.READ_16)
WRITES = (Command.WRITE_6, Command.WRITE_10, Command.WRITE_12, Command.WRITE_16)
ILLEGAL = SenseKey.ILLEGAL_REQUEST


@pytest.fixture
def memory() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def disk(memory: MemoryDisk) -> ScsiDisk:
    return ScsiDisk(memory, "SERIAL")


def unmap_list(*extents: tuple[int, int], descriptor_bytes: int | None = None) -> bytes:
    found = b"".join(bytes(UnmapDescriptor.build(block=block, count=count)) for block, count in extents)
    size = len(found) if descriptor_bytes is None else descriptor_bytes
    return bytes(UnmapList.build(length=len(found) + 6, descriptor_bytes=size)) + found


@pytest.mark.parametrize(("read", "write"), list(zip(READS, WRITES, strict=True)))
def test_blocks_are_moved_by_commands_of_every_length(disk: ScsiDisk, read: int, write: int) -> None:
    written = execute(disk, cdb_of(write, 5, 2), sectors(b"new", 2) + b"rest")
    assert (written.sense, written.taken) == (b"", 1024)
    assert execute(disk, cdb_of(read, 4, 3)).data == bytes(512) + sectors(b"new", 2)


def test_addresses_are_as_wide_as_their_commands() -> None:
    assert (extent_of(cdb_of(0x08, 0x1F_FFFF, 0)).block, extent_of(cdb_of(0x08, 0, 0)).count) == (
        0x1F_FFFF,
        256,
    )
    assert extent_of(cdb_of(0x28, 0xFFFF_FFFF, 0xFFFF)) == extent_of(cdb_of(0xA8, 0xFFFF_FFFF, 0xFFFF))
    assert extent_of(cdb_of(0x88, 1 << 40, 1 << 20)).block == 1 << 40


@pytest.mark.parametrize("command", [*READS, *WRITES, Command.VERIFY_10, Command.VERIFY_16])
def test_block_beyond_the_end_is_told_with_its_number(disk: ScsiDisk, command: int) -> None:
    answer = execute(disk, cdb_of(command, 63, 2), bytes(1024))
    assert sense_of(answer) == (ILLEGAL, Additional.LBA_OUT_OF_RANGE)
    assert answer.sense[0] == 0xF0 and int.from_bytes(answer.sense[3:7], "big") == 63


@pytest.mark.parametrize("command", [Command.READ_16, Command.WRITE_16])
def test_command_that_does_not_fit_its_buffer_is_refused(
    disk: ScsiDisk, memory: MemoryDisk, command: int
) -> None:
    for count, size in ((2, 1023), (MOST_BLOCKS + 1, 1 << 30)):
        answer = disk.execute(cdb_of(command, 0, count), bytes(min(size, 2048)), size)
        assert sense_of(answer) == (ILLEGAL, Additional.INVALID_FIELD_IN_CDB)
    assert not any(memory.content)


@pytest.mark.parametrize(
    ("outcome", "write", "sense"),
    [
        (Outcome.MEDIUM_ERROR, False, (SenseKey.MEDIUM_ERROR, Additional.UNRECOVERED_READ_ERROR)),
        (Outcome.MEDIUM_ERROR, True, (SenseKey.MEDIUM_ERROR, Additional.WRITE_ERROR)),
        (Outcome.NO_SPACE, True, (SenseKey.DATA_PROTECT, Additional.SPACE_ALLOCATION_FAILED)),
        (Outcome.READ_ONLY, True, (SenseKey.DATA_PROTECT, Additional.WRITE_PROTECTED)),
    ],
)
def test_failure_of_the_disk_is_sense(
    disk: ScsiDisk, memory: MemoryDisk, outcome: Outcome, write: bool, sense: tuple[int, int]
) -> None:
    memory.fails = outcome
    command = Command.WRITE_10 if write else Command.READ_10
    answer = execute(disk, cdb_of(command, 3, 1), bytes(512))
    assert sense_of(answer) == sense and answer.data == b""


def test_disk_that_may_only_be_read_is_protected() -> None:
    disk = ScsiDisk(MemoryDisk(read_only=True), "SERIAL")
    for cdb, data in (
        (cdb_of(Command.WRITE_10, 0, 1), bytes(512)),
        (cdb_of(Command.UNMAP, 0, 24), unmap_list((0, 8))),
        (cdb_of(Command.WRITE_SAME_16, 0, 1, flags=8), bytes(512)),
    ):
        assert sense_of(execute(disk, cdb, data)) == (SenseKey.DATA_PROTECT, Additional.WRITE_PROTECTED)


def test_flushes_are_where_they_were_asked_for(disk: ScsiDisk, memory: MemoryDisk) -> None:
    execute(disk, cdb_of(Command.WRITE_10, 0, 1), bytes(512))
    assert memory.flushes == 0
    execute(disk, cdb_of(Command.WRITE_10, 0, 1, flags=8), bytes(512))
    execute(disk, cdb_of(Command.SYNCHRONIZE_CACHE_10))
    execute(disk, cdb_of(Command.SYNCHRONIZE_CACHE_16))
    assert memory.flushes == 3
    memory.fails = Outcome.MEDIUM_ERROR
    failed = execute(disk, cdb_of(Command.SYNCHRONIZE_CACHE_10))
    assert sense_of(failed) == (SenseKey.MEDIUM_ERROR, Additional.WRITE_ERROR) and failed.sense[0] == 0x70


def test_verify_reads_and_gives_nothing(disk: ScsiDisk, memory: MemoryDisk) -> None:
    assert disk.execute(cdb_of(Command.VERIFY_10, 0, 64), b"", 0).data == b""
    assert (
        sense_of(execute(disk, cdb_of(Command.VERIFY_10, 0, 1, flags=2)))[1]
        == Additional.INVALID_FIELD_IN_CDB
    )
    memory.fails = Outcome.MEDIUM_ERROR
    answer = execute(disk, cdb_of(Command.VERIFY_16, 7, 1))
    assert sense_of(answer) == (SenseKey.MEDIUM_ERROR, Additional.UNRECOVERED_READ_ERROR)


@pytest.mark.parametrize("command", [Command.WRITE_SAME_10, Command.WRITE_SAME_16])
def test_one_block_fills_many(disk: ScsiDisk, memory: MemoryDisk, command: int) -> None:
    assert execute(disk, cdb_of(command, 2, 60), sectors(b"same")).taken == 512
    assert memory.content == bytes(1024) + sectors(b"same", 60) + bytes(1024)


def test_write_same_of_zeros_that_may_be_unmapped_is_a_trim(disk: ScsiDisk, memory: MemoryDisk) -> None:
    memory.content[:] = sectors(b"full", 64)
    execute(disk, cdb_of(Command.WRITE_SAME_16, 8, 8, flags=8), bytes(512))
    execute(disk, cdb_of(Command.WRITE_SAME_16, 0, 1, flags=8), sectors(b"kept"))
    assert memory.content == sectors(b"kept") + sectors(b"full", 7) + bytes(4096) + sectors(b"full", 48)


@pytest.mark.parametrize(
    ("block", "count", "flags", "size", "additional"),
    [
        (0, 0, 0, 512, Additional.INVALID_FIELD_IN_CDB),
        (0, MOST_SAME_BLOCKS + 1, 0, 512, Additional.INVALID_FIELD_IN_CDB),
        (0, 1, 0x10, 512, Additional.INVALID_FIELD_IN_CDB),
        (0, 1, 0, 511, Additional.INVALID_FIELD_IN_CDB),
        (60, 5, 0, 512, Additional.LBA_OUT_OF_RANGE),
    ],
)
def test_write_same_that_cannot_be_writes_nothing(
    disk: ScsiDisk, memory: MemoryDisk, block: int, count: int, flags: int, size: int, additional: int
) -> None:
    answer = execute(disk, cdb_of(Command.WRITE_SAME_16, block, count, flags=flags), b"x" * size)
    assert sense_of(answer) == (ILLEGAL, additional) and not any(memory.content)


def test_unmapped_blocks_read_as_zeros(disk: ScsiDisk, memory: MemoryDisk) -> None:
    memory.content[:] = sectors(b"full", 64)
    found = unmap_list((0, 8), (32, 1))
    assert execute(disk, cdb_of(Command.UNMAP, 0, len(found)), found).taken == len(found)
    assert memory.content == (bytes(4096) + sectors(b"full", 24) + bytes(512) + sectors(b"full", 31))
    assert execute(disk, cdb_of(Command.UNMAP, 0, 0), b"").sense == b""


@pytest.mark.parametrize(
    ("data", "additional"),
    [
        (unmap_list((0, 8))[:6], Additional.INVALID_FIELD_IN_PARAMETER_LIST),
        (unmap_list((0, 8), descriptor_bytes=15), Additional.INVALID_FIELD_IN_PARAMETER_LIST),
        (unmap_list((0, 8), descriptor_bytes=32), Additional.INVALID_FIELD_IN_PARAMETER_LIST),
        (unmap_list(*[(0, 1)] * 65), Additional.INVALID_FIELD_IN_PARAMETER_LIST),
        (unmap_list((0, MOST_UNMAP_BLOCKS + 1)), Additional.INVALID_FIELD_IN_PARAMETER_LIST),
        (unmap_list((0, 8), (60, 5)), Additional.LBA_OUT_OF_RANGE),
    ],
    ids=["short", "odd", "cut off", "many", "large", "beyond"],
)
def test_list_with_a_fault_unmaps_nothing(
    disk: ScsiDisk, memory: MemoryDisk, data: bytes, additional: int
) -> None:
    memory.content[:] = sectors(b"full", 64)
    answer = execute(disk, cdb_of(Command.UNMAP, 0, len(data)), data)
    assert sense_of(answer) == (ILLEGAL, additional) and memory.content == sectors(b"full", 64)


@pytest.mark.parametrize("command", sorted({0xFF, 0xC0, 0x7F, 0x55, *range(0x100)} - set(COMMANDS)))
def test_command_that_nobody_knows_is_told(disk: ScsiDisk, command: int) -> None:
    answer = execute(disk, bytes([command]).ljust(16, b"\0"))
    assert sense_of(answer) == (ILLEGAL, Additional.INVALID_COMMAND_OPERATION_CODE)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_that_is_cut_short_is_told(disk: ScsiDisk, command: int) -> None:
    assert sense_of(execute(disk, bytes([command, 0, 0]))) == (ILLEGAL, Additional.INVALID_FIELD_IN_CDB)
    assert sense_of(execute(disk, b"")) == (ILLEGAL, Additional.INVALID_COMMAND_OPERATION_CODE)


@pytest.mark.parametrize(
    "cdb",
    [
        bytes([Command.INQUIRY, 1, 0, 0, 5, 0]),
        bytes([Command.INQUIRY, 0, 0, 0, 5, 0]),
        bytes([Command.MODE_SENSE_6, 0, 0x3F, 0, 5, 0]),
        bytes([Command.MODE_SENSE_10, 0, 0x3F, 0, 0, 0, 0, 0, 5, 0]),
        bytes([Command.REQUEST_SENSE, 0, 0, 0, 5, 0]),
        bytes([Command.SERVICE_ACTION_IN_16, 0x10, *[0] * 11, 5, 0, 0]),
    ],
    ids=lambda cdb: f"{cdb[0]:#x}",
)
def test_answer_is_no_longer_than_was_asked_for(disk: ScsiDisk, cdb: bytes) -> None:
    assert len(execute(disk, cdb).data) == 5


@pytest.mark.parametrize(
    "cdb",
    [
        bytes([Command.INQUIRY, 1, 0x99, 0, 255, 0]),
        bytes([Command.INQUIRY, 0, 0x80, 0, 255, 0]),
        bytes([Command.MODE_SENSE_6, 0, 0x02, 0, 255, 0]),
        bytes([Command.MODE_SENSE_6, 0, 0x3F, 1, 255, 0]),
        bytes([Command.SERVICE_ACTION_IN_16, 0x11, *[0] * 14]),
    ],
    ids=lambda cdb: cdb[:4].hex(),
)
def test_page_or_action_that_is_not_there_is_told(disk: ScsiDisk, cdb: bytes) -> None:
    assert sense_of(execute(disk, cdb)) == (ILLEGAL, Additional.INVALID_FIELD_IN_CDB)


def test_disk_is_ready_and_can_be_started(disk: ScsiDisk) -> None:
    for command in (Command.TEST_UNIT_READY, Command.START_STOP_UNIT):
        assert execute(disk, bytes([command]).ljust(6, b"\0")).sense == b""
    assert execute(disk, cdb_of(Command.READ_CAPACITY_10)).data[3] == 63
    assert disk.served == 3


def test_unit_attention_is_told_once_and_nothing_is_done(disk: ScsiDisk, memory: MemoryDisk) -> None:
    disk.attend(Additional.RESET_OCCURRED)
    disk.attend(Additional.RESET_OCCURRED)
    assert execute(disk, bytes([Command.INQUIRY, 0, 0, 0, 36, 0])).data
    answer = execute(disk, cdb_of(Command.WRITE_10, 0, 1), b"x" * 512)
    assert sense_of(answer) == (SenseKey.UNIT_ATTENTION, Additional.RESET_OCCURRED)
    assert not any(memory.content)
    assert execute(disk, cdb_of(Command.WRITE_10, 0, 1), b"x" * 512).taken == 512


def test_unit_attention_can_be_asked_for(disk: ScsiDisk) -> None:
    disk.attend(Additional.REPORTED_LUNS_CHANGED)
    request = bytes([Command.REQUEST_SENSE, 0, 0, 0, 18, 0])
    assert execute(disk, request).data[2] == SenseKey.UNIT_ATTENTION
    assert execute(disk, request).data[2] == SenseKey.NO_SENSE
