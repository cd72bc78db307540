"""Logs of pages: each reader hears of all marks since it last asked, and what was split is merged."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from machines import CODE, STACK, TABLES, SmallMachine

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor.call_form import SELF, THIS_VP
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.hypervisor.hypercalls import perform
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.page_log import LogReader, PageLog
from minihv.machine import reference
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.processor import Core, PagingMode
from minihv.spec.hypercalls import CallCode, RegisterName, Status
from minihv.terms import LARGE_PAGE_BYTES, MIB, PAGE_BYTES, Gpa, Gva

CORES = list(Core)
WALKED = {TABLES >> 12, (TABLES >> 12) + 1, (TABLES >> 12) + 2}
"""The frames of a small machine's page tables: to walk them counts as writing."""
STORE = "mov [0x9000], rax; hlt"


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(16 * MIB)
    yield made
    made.close()


@pytest.fixture
def space(memory: SystemMemory) -> GpaSpace:
    made = GpaSpace(memory, 7)
    made.add_ram(4 * MIB)
    return made


@contextmanager
def logged(code: str, log: str = "dirty_log", **parts: Any) -> Iterator[tuple[SmallMachine, LogReader]]:
    """A machine with ``code``, and a reader of a log of its partition."""
    with SmallMachine(code, **parts) as machine:
        reader = getattr(machine.partition.gpa_space, log).reader()
        yield machine, reader
        reader.close()


def page_sizes(space: GpaSpace) -> Counter[int]:
    """How many leaves of each size map the RAM."""
    leaves = {leaf.va: leaf for gpa in range(0, space.ram_bytes, PAGE_BYTES) if (leaf := space.find(gpa))}
    return Counter(leaf.page_bytes for leaf in leaves.values())


@pytest.mark.parametrize("core", CORES)
def test_store_of_a_guest_is_told_with_the_tables_that_led_to_it(core: Core) -> None:
    with logged(STORE, core=core) as (machine, reader):
        machine.run()
        assert set(reader.take().gpns()) == {9} | WALKED
        assert reader.take().count == 0


def test_what_was_written_before_the_reader_came_is_not_told() -> None:
    with SmallMachine(STORE) as machine:
        machine.run()
        with machine.partition.gpa_space.dirty_log.reader() as reader:
            assert reader.take().count == 0


@pytest.mark.parametrize("core", CORES)
def test_page_that_is_written_again_after_a_harvest_is_told_again(core: Core) -> None:
    code = "again: mov [0x9000], rax; out 0x10, al; jmp again"
    with logged(code, core=core) as (machine, reader):
        for _ in range(3):
            machine.run(20)
            assert 9 in reader.take()


def test_write_of_the_host_between_harvest_and_flush_is_told(space: GpaSpace) -> None:
    with space.dirty_log.reader() as reader:
        space.write(0x5FFF, b"ab")
        assert reader.take().gpns() == [5, 6]
        assert space.changed
        space.write(0x6000, b"c")
        assert reader.take().gpns() == [6]


def test_marks_that_the_host_makes_the_processor_set_after_a_harvest_are_told() -> None:
    with logged("hlt") as (machine, reader):
        machine.run()
        reader.take()
        machine.hypervisor.translate(machine.vp, Gva(0x9000), 0)  # sets A in the guest's tables
        assert set(reader.take().gpns()) == WALKED


def test_port_access_that_is_completed_after_a_harvest_is_told() -> None:
    code = "mov edi, 0x9000; mov edx, 0x60; cld; insb; hlt"
    with logged(code) as (machine, reader):
        assert machine.enter() == 1
        reader.take()
        machine.vp.handle.port_access.value = 7
        machine.hypervisor.complete_port(machine.vp)
        assert machine.read(0x9000, 1) == 7 and 9 in reader.take()


@pytest.mark.parametrize("core", CORES)
def test_frame_of_an_exception_is_told(core: Core) -> None:
    with logged("ud2", core=core) as (machine, reader):
        machine.run()
        assert set(reader.take().gpns()) == {STACK - 1 >> 12} | WALKED


def test_single_steps_are_told() -> None:
    with logged("nop; mov [0x9000], rax; hlt") as (machine, reader):
        for expected in (False, True, False):
            machine.hypervisor.step(machine.vp)
            assert (9 in reader.take()) is expected


def test_output_of_a_hypercall_is_told() -> None:
    get_one_register = CallCode.GET_VP_REGISTERS | 1 << 32
    with logged("hlt", registers={"rdx": 0x8000, "r8": 0x9000}) as (machine, reader):
        numbers = SELF, THIS_VP, int(RegisterName.RIP)
        for index, number in enumerate(numbers):
            machine.write(0x8000 + 8 * index, number)
        reader.take()
        status, _ = perform(machine.hypervisor, machine.vp, get_one_register)
        assert (status, reader.take().gpns()) == (Status.SUCCESS, [9])


def test_all_vps_of_a_partition_write_to_one_log() -> None:
    code = "shl rsi, 12; mov [rsi + 0x9000], rax; hlt"
    with logged(code, vps=3, lps=2) as (machine, reader):
        for vp in machine.partition.vps:
            vp.write("rsi", vp.index)
        machine.run()
        assert set(reader.take().gpns()) == {9, 10, 11} | WALKED


def test_each_reader_hears_all_since_it_last_asked(space: GpaSpace) -> None:
    with space.dirty_log.reader() as one:
        space.write(0x1000, b"a")
        with space.dirty_log.reader() as other:
            space.write(0x2000, b"b")
            assert other.take().gpns() == [2]
            space.write(0x3000, b"c")
            assert one.take().gpns() == [1, 2, 3]
            assert other.take().gpns() == [3]
        space.write(0x4000, b"d")
        assert one.take().gpns() == [4]


def test_guest_s_large_pages_are_split_and_come_back(memory: SystemMemory, space: GpaSpace) -> None:
    owned = memory.frames.owned_by(HYPERVISOR)
    with space.dirty_log.reader(), space.access_log.reader():
        assert page_sizes(space) == {PAGE_BYTES: 1024}
        assert memory.frames.owned_by(HYPERVISOR) == owned + 2
    assert page_sizes(space) == {LARGE_PAGE_BYTES: 2}
    assert memory.frames.owned_by(HYPERVISOR) == owned


def test_pages_stay_small_until_the_last_reader_of_both_logs_has_gone(space: GpaSpace) -> None:
    dirty, accessed = space.dirty_log.reader(), space.access_log.reader()
    dirty.close()
    dirty.close()
    assert page_sizes(space) == {PAGE_BYTES: 1024} and space.dirty_log.reader_count == 0
    accessed.close()
    assert page_sizes(space) == {LARGE_PAGE_BYTES: 2}


def test_page_with_an_overlay_stays_split(memory: SystemMemory, space: GpaSpace) -> None:
    with space.dirty_log.reader():
        space.lay_over(Gpa(0x5000), memory.frames.allocate(HYPERVISOR), "a test's page")
    assert page_sizes(space) == {LARGE_PAGE_BYTES: 1, PAGE_BYTES: 512}
    space.lift(Gpa(0x5000))
    with space.dirty_log.reader() as reader:
        space.write(0x5000, b"a")
        assert reader.take().gpns() == [5]
    assert page_sizes(space) == {LARGE_PAGE_BYTES: 1, PAGE_BYTES: 512}


def test_page_written_before_or_behind_an_overlay_is_told(memory: SystemMemory, space: GpaSpace) -> None:
    with space.dirty_log.reader() as reader:
        space.write(0x5000, b"before")
        space.lay_over(Gpa(0x5000), memory.frames.allocate(HYPERVISOR), "a test's page")
        assert reader.take().gpns() == [5]
        space.write(0x5000, b"behind")
        assert reader.take().gpns() == [5]
        space.lift(Gpa(0x5000))
        assert reader.take().count == 0


@pytest.mark.parametrize("core", CORES)
def test_access_log_tells_what_was_touched(core: Core) -> None:
    code = "mov rax, [0x9000]; mov [0xA000], rax; hlt"
    with logged(code, core=core, log="access_log") as (machine, reader):
        machine.run()
        assert set(reader.take().gpns()) == {9, 10, CODE >> 12} | WALKED


def test_logs_take_only_their_own_marks(space: GpaSpace) -> None:
    with space.dirty_log.reader() as dirty, space.access_log.reader() as accessed:
        space.write(0x5000, b"a device touches nothing")
        assert accessed.take().count == 0
        assert dirty.take().gpns() == [5]


def test_log_that_finds_too_few_frames_is_refused_and_changes_nothing(
    memory: SystemMemory, space: GpaSpace
) -> None:
    while memory.frames.free_count > 1:
        memory.frames.allocate(0x1234)
    with pytest.raises(ConfigurationError) as refusal:
        space.dirty_log.reader()
    assert str(refusal.value) == (
        "A log of pages needs a table for every 2 MiB of RAM, which are 2 frames, and the machine has 1 "
        "left: give the machine more memory, or its partitions less."
    )
    assert memory.frames.free_count == 1 and page_sizes(space) == {LARGE_PAGE_BYTES: 2}


@pytest.mark.parametrize("mebibytes", [1, 2, 3, 64, 65])
def test_machine_sized_for_a_partition_has_room_for_its_logs(mebibytes: int) -> None:
    with Hypervisor(machine_bytes(mebibytes * MIB)) as hypervisor:
        space = hypervisor.create_partition("logged", mebibytes * MIB, vps=64).gpa_space
        with space.dirty_log.reader() as reader:
            space.write(mebibytes * MIB - 1, b"a")
            assert reader.take().gpns() == [mebibytes * 256 - 1]


def test_engine_that_walks_by_itself_is_refused() -> None:
    with SmallMachine(STORE, paging=PagingMode.HARDWARE) as machine:
        with pytest.raises(ConfigurationError) as refusal:
            machine.partition.gpa_space.dirty_log.reader()
        assert str(refusal.value) == (
            "A log of pages reads the marks that minihv's walk leaves in second-level tables, and with "
            "paging mode hardware the engine walks, which leaves none: choose slat."
        )


ENTRIES: dict[str, Callable[[SmallMachine], object]] = {
    "run": lambda machine: machine.run(),
    "step": lambda machine: machine.hypervisor.step(machine.vp),
    "port": lambda machine: machine.hypervisor.complete_port(machine.vp),
}


@pytest.mark.parametrize("verb", ["reader", "harvest"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_log_is_not_read_while_a_vp_is_executed(verb: str, entry: str) -> None:
    with SmallMachine("mov edi, 0x9000; cld; insb; jmp [0x9000]", core=Core.REFERENCE) as machine:
        machine.enter()  # up to the INS
        log = machine.partition.gpa_space.dirty_log

        def walk_that_reads(*_: object) -> None:
            getattr(log, verb)()

        machine.hypervisor.processor.flush()
        with patch.object(reference, "nested_walk", walk_that_reads), pytest.raises(InternalError) as failure:
            ENTRIES[entry](machine)
        assert not machine.hypervisor.processor.is_executing
    assert str(failure.value.__cause__) == (
        "A log of pages is read between two runs of the processor, and a VP is being executed: "
        "read it when the run has come back."
    )


def closed(space: GpaSpace) -> None:
    """A reader that was closed takes no more."""
    with space.dirty_log.reader() as reader:
        pass
    reader.take()


def outlived(space: GpaSpace) -> None:
    """So does one whose partition was removed, and it can still be closed."""
    reader = space.dirty_log.reader()
    space.release()
    reader.close()
    reader.take()


@pytest.mark.parametrize("use", [closed, outlived])
def test_reader_that_is_closed_takes_no_more(space: GpaSpace, use: type) -> None:
    with pytest.raises(InternalError) as refusal:
        use(space)
    assert str(refusal.value) == (
        "A reader takes from a log until it is closed or the partition is removed, and this one is closed: "
        "open another."
    )


def test_partition_with_a_reader_gives_every_frame_back(memory: SystemMemory) -> None:
    free = memory.frames.free_count
    space = GpaSpace(memory, 7)
    space.add_ram(4 * MIB)
    space.dirty_log.reader()
    space.release()
    assert memory.frames.free_count == free


def test_log_of_one_partition_knows_nothing_of_another() -> None:
    with SmallMachine(STORE, partitions=2) as machine:
        other = machine.add_partition("other", "mov [0xA000], rax; hlt")
        logs: list[PageLog] = [one.gpa_space.dirty_log for one in (machine.partition, other)]
        with logs[0].reader() as one, logs[1].reader() as another:
            machine.run()
            assert (set(one.take().gpns()), set(another.take().gpns())) == ({9} | WALKED, {10} | WALKED)
