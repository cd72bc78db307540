"""The processor: what it refuses, what it makes, and how its runs come back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from machines import CODE, TABLES, SmallMachine

from minihv.errors import ConfigurationError, InternalError
from minihv.machine import processor as module
from minihv.machine.engine import engine_api
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.machine.processor import Core, PagingMode, Processor, Stop, identity_tables, processor
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.walk import Mapping, PageFault, walk
from minihv.terms import HUGE_PAGE_BYTES, MIB, PAGE_BYTES, Gva

SPIN = "again: inc rbx; jmp again"
WRONG_LAYOUT = (
    "This build of Unicorn keeps processor state where minihv does not find it: "
    "run pip install 'unicorn==2.1.4', the release it was proven with."
)


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(4 * MIB)
    yield made
    made.close()


Replace = Callable[[str, Callable[..., int]], None]


@pytest.fixture
def replace(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Puts a Python function in the place of one of the engine's."""
    kept: list[Any] = []

    def put(name: str, function: Callable[..., int]) -> None:
        api = ffi.new("struct mhv_engine_api *", engine_api()[0])
        kept.append(ffi.callback(ffi.typeof(getattr(api, name)), function))
        setattr(api, name, kept[-1])
        monkeypatch.setattr(module, "engine_api", lambda: api)

    return put


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (1, "No memory available or memory not present (UC_ERR_NOMEM)"),
        (2, "Invalid/unsupported architecture (UC_ERR_ARCH)"),
    ],
)
def test_engine_that_does_not_open_is_refused_in_its_own_words(
    memory: SystemMemory, replace: Replace, error: int, words: str
) -> None:
    replace("open", lambda _arch, _mode, _engine: error)
    with pytest.raises(ConfigurationError) as refusal:
        Processor(memory)
    assert str(refusal.value) == f"The engine could not be opened ({words}): run minihv doctor."


@pytest.mark.parametrize("paging", PagingMode)
def test_engine_whose_state_lies_elsewhere_is_refused(
    memory: SystemMemory, replace: Replace, paging: PagingMode
) -> None:
    replace("context_save", lambda _engine, _context: 0)
    with pytest.raises(ConfigurationError) as refusal:
        Processor(memory, paging)
    assert str(refusal.value) == WRONG_LAYOUT


def test_engine_that_refuses_a_setting_is_refused(memory: SystemMemory, replace: Replace) -> None:
    replace("mem_map_ptr", lambda *_: 1)
    with pytest.raises(ConfigurationError) as refusal:
        Processor(memory)
    assert str(refusal.value) == WRONG_LAYOUT


@pytest.mark.parametrize("mode", PagingMode)
def test_paging_mode_is_found_by_its_name(mode: PagingMode) -> None:
    assert PagingMode.named(mode.value) is mode


@pytest.mark.parametrize(
    ("name", "end"), [("hardwear", "'hardwear', did you mean 'hardware'?"), ("foo", "'foo'."), ("", "''.")]
)
def test_paging_mode_that_is_not_there_is_refused_in_one_sentence(name: str, end: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        PagingMode.named(name)
    names = ", ".join(mode.value for mode in PagingMode)
    assert str(refusal.value) == f"The paging mode must be one of {names}, not {end}"


@pytest.mark.parametrize(
    ("value", "core"), [("", Core.NATIVE), ("native", Core.NATIVE), ("reference", Core.REFERENCE)]
)
def test_core_is_the_one_that_the_environment_asks_for(
    memory: SystemMemory, monkeypatch: pytest.MonkeyPatch, value: str, core: Core
) -> None:
    monkeypatch.setenv("MINIHV_CORE", value)
    assert Core.chosen() is core
    with processor(memory) as made:
        assert made.core is core


def test_core_is_native_when_the_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIHV_CORE", raising=False)
    assert Core.chosen() is Core.NATIVE


def test_core_that_was_given_is_not_looked_up(memory: SystemMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIHV_CORE", "python")
    with Processor(memory, core=Core.REFERENCE) as made:
        assert made.core is Core.REFERENCE


@pytest.mark.parametrize("name", ["python", "Native", " native"])
def test_core_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MINIHV_CORE", name)
    with pytest.raises(ConfigurationError) as refusal:
        Core.chosen()
    assert str(refusal.value) == (
        f"MINIHV_CORE must be native or reference, not {name!r}: unset it for the fast default."
    )


def test_closing_twice_is_as_closing_once(memory: SystemMemory) -> None:
    made = Processor(memory)
    made.close()
    made.close()
    assert made.handle == ffi.NULL


def test_processor_is_closed_at_the_end_of_its_block_whatever_happens(memory: SystemMemory) -> None:
    with pytest.raises(KeyError), processor(memory) as made:
        raise KeyError
    assert made.handle == ffi.NULL


@pytest.mark.parametrize(("paging", "frames"), [(PagingMode.SLAT, 3), (PagingMode.HARDWARE, 5)])
def test_processor_takes_frames_for_its_stub_and_its_tables(
    memory: SystemMemory, paging: PagingMode, frames: int
) -> None:
    with processor(memory, paging) as made:
        assert memory.frames.owned_by(HYPERVISOR) == frames and made.paging is paging


def test_vp_is_made_with_its_index_on_its_vmcb(memory: SystemMemory) -> None:
    with processor(memory) as made:
        spa = memory.allocate_zeroed(HYPERVISOR)
        vp = made.create_vp(5, spa)
        vp.vmcb.save.rip = 0x1234
        assert (vp.index, vp.vmcb_spa, vp.reload, vp.counters.blocks) == (5, spa, True, 0)
        assert memory.read_u64(spa + 0x578) == 0x1234
        made.destroy_vp(vp)


def test_vp_that_the_host_has_no_memory_for_is_refused(memory: SystemMemory, replace: Replace) -> None:
    answers = iter((0, 1))
    real = engine_api().context_alloc
    replace("context_alloc", lambda engine, context: next(answers) or real(engine, context))
    with processor(memory) as made:
        with pytest.raises(ConfigurationError) as refusal:
            made.create_vp(0, memory.frames.allocate(HYPERVISOR))
        assert str(refusal.value) == ("The host has no memory left for another virtual processor: run fewer.")


def test_vp_whose_vmcb_lies_outside_memory_is_not_made(memory: SystemMemory) -> None:
    with processor(memory) as made:
        assert lib.mhv_vp_create(made.handle, memory.byte_count - PAGE_BYTES + 1) == ffi.NULL
        made.destroy_vp(ffi.NULL)


def test_run_comes_back_when_its_blocks_are_used() -> None:
    with SmallMachine(SPIN) as machine:
        run, vp = machine.hypervisor.processor.run, machine.vp.handle
        assert [run(vp, until) for until in (10, 10, 11)] == [Stop.BUDGET] * 3
        assert vp.counters.blocks == 11 == machine.vp.read("rbx")


def test_run_comes_back_with_an_exit() -> None:
    with SmallMachine("nop; hlt") as machine:
        assert machine.hypervisor.processor.run(machine.vp.handle, 10) == Stop.EXIT
        assert (machine.vp.control.exit_code, machine.vp.read("rip")) == (0x78, CODE + 1)


def test_step_executes_one_instruction_at_a_time() -> None:
    with SmallMachine("inc rbx; inc rbx; hlt") as machine:
        step, vp = machine.hypervisor.processor.step, machine.vp
        assert [(step(vp.handle), vp.read("rbx")) for _ in range(2)] == [(Stop.BUDGET, 1), (Stop.BUDGET, 2)]
        assert step(vp.handle) == Stop.EXIT


def test_port_access_is_finished_with_the_value_that_was_read() -> None:
    with SmallMachine("in al, 0x10; hlt") as machine:
        assert machine.enter() == Stop.EXIT
        machine.vp.handle.port_access.value = 0x5A
        assert machine.hypervisor.processor.complete_port(machine.vp.handle) == Stop.BUDGET
        assert (machine.vp.read("rax") & 0xFF, machine.vp.read("rip")) == (0x5A, CODE + 2)


def test_save_brings_the_vmcb_up_to_date() -> None:
    with SmallMachine("mov rax, 0x1000; mov cr2, rax; hlt") as machine:
        machine.run()
        assert machine.vp.save_area.cr2 == 0
        machine.hypervisor.processor.save(machine.vp.handle)
        machine.hypervisor.processor.save(machine.vp.handle)
        assert machine.vp.save_area.cr2 == 0x1000


def test_flushed_translation_is_walked_again() -> None:
    with SmallMachine(SPIN) as machine:
        machine.enter(5)
        before = machine.vp.counters.tlb_fills
        machine.hypervisor.processor.flush()
        machine.enter(5)
        assert machine.vp.counters.tlb_fills > before


def test_engine_that_stops_for_no_reason_is_a_bug_that_asks_for_a_report(memory: SystemMemory) -> None:
    with processor(memory) as made:
        made._check(Stop.BUDGET)
        made._check(Stop.EXIT)
        with pytest.raises(InternalError) as refusal:
            made._check(Stop.ENGINE)
    assert str(refusal.value) == (
        "The engine stopped for no reason that the core knows (error 0, 'OK (UC_ERR_OK)'): "
        "please report the guest that did this."
    )


@pytest.mark.parametrize("way", ["run", "step"])
def test_engine_that_does_not_take_the_registers_is_a_bug(replace: Replace, way: str) -> None:
    refuses: list[int] = []
    real = engine_api().context_restore
    replace("context_restore", lambda engine, context: sum(refuses) or real(engine, context))
    with SmallMachine(SPIN) as machine:
        machine.enter(5)
        refuses.append(1)
        with pytest.raises(InternalError, match="The engine stopped for no reason that the core knows"):
            machine.enter(5) if way == "run" else machine.hypervisor.step(machine.vp)


@pytest.mark.parametrize("core", Core)
@pytest.mark.parametrize("paging", PagingMode)
def test_translate_finds_the_entry_point_of_a_vp_that_has_never_run(paging: PagingMode, core: Core) -> None:
    with SmallMachine(paging=paging, core=core) as machine:
        found = machine.hypervisor.processor.translate(machine.vp.handle, Gva(CODE + 5), lib.MHV_EXECUTE)
        assert (found.outcome, found.gpa) == (lib.MHV_MAPPED, CODE + 5)
        assert found.spa == machine.partition.gpa_space.spa_of(CODE + 5)


def test_translate_goes_by_the_registers_that_were_edited_since_the_last_run() -> None:
    with SmallMachine() as machine:
        machine.run()
        machine.write(0x9000, TABLES + 0x1000 | 7)
        machine.write(0x9008, TABLES + 0x1000 | 7)
        machine.vp.write("cr3", 0x9000)
        found = machine.hypervisor.translate(machine.vp, Gva(1 << 39 | CODE), lib.MHV_READ)
        assert (found.outcome, found.gpa) == (lib.MHV_MAPPED, CODE)


def test_translate_asks_a_vp_that_another_one_displaced() -> None:
    with SmallMachine("mov rax, cr4; or eax, 0x100000; mov cr4, rax; hlt", vps=2) as machine:
        first, second = machine.partition.vps
        machine.run()
        second.write("cr4", 0x620)
        fetch = lib.MHV_EXECUTE
        outcomes = [machine.hypervisor.translate(vp, Gva(CODE), fetch).outcome for vp in (first, second)]
        assert outcomes == [lib.MHV_PAGE_FAULT, lib.MHV_MAPPED]  # SMEP, and a page of ring 3


@pytest.mark.parametrize(("user", "outcome"), [(False, lib.MHV_MAPPED), (True, lib.MHV_PAGE_FAULT)])
def test_translate_is_told_who_asks(user: bool, outcome: int) -> None:
    with SmallMachine() as machine:
        machine.write(TABLES + 0x2000, 0x83)
        translate = machine.hypervisor.processor.translate
        assert translate(machine.vp.handle, Gva(CODE), lib.MHV_READ, user=user).outcome == outcome


@pytest.mark.parametrize("address", [0, HUGE_PAGE_BYTES - 1, 511 * HUGE_PAGE_BYTES + 0x1234])
def test_host_tables_map_every_address_to_itself(memory: SystemMemory, address: int) -> None:
    paging = Paging(root=identity_tables(memory), levels=4, physical_bits=40)
    for kind in AccessKind:
        found = walk(memory, paging, Gva(address), Access(kind, user=True))
        assert isinstance(found, Mapping) and (found.gpa, found.page_bytes) == (address, HUGE_PAGE_BYTES)


def test_host_tables_end_at_512_gib(memory: SystemMemory) -> None:
    paging = Paging(root=identity_tables(memory), levels=4, physical_bits=40)
    found = walk(memory, paging, Gva(512 * HUGE_PAGE_BYTES), Access(AccessKind.READ))
    assert isinstance(found, PageFault) and found.level == 4
    assert memory.frames.owner_of(paging.root) == HYPERVISOR


@pytest.mark.parametrize(("offset", "stops_at"), [(0, 0), (3, 3), (5, 3)])
def test_run_comes_back_where_a_block_begins_that_has_the_watched_address(offset: int, stops_at: int) -> None:
    with SmallMachine("nop; jmp next; next: inc ebx; inc ebx; hlt") as machine:
        machine.vp.handle.watched_rip, machine.vp.handle.watches = CODE + offset, True
        assert machine.enter() == Stop.WATCH
        assert machine.vp.read("rip") == CODE + stops_at


def test_address_that_is_not_watched_any_more_stops_nothing() -> None:
    with SmallMachine("nop; jmp next; next: inc ebx; hlt") as machine:
        machine.vp.handle.watched_rip = CODE + 3
        assert machine.enter() == Stop.EXIT
