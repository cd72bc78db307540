"""Ring -1 as a whole: what it refuses to build, runs and budgets, steps, and exits nobody knows."""

from unittest.mock import patch

import pytest
from machines import CODE, SmallMachine, virtual_interrupt

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor.exits import TABLE
from minihv.hypervisor.hypervisor import MOST_PARTITIONS, Hypervisor, machine_bytes
from minihv.hypervisor.states import VpState
from minihv.machine.clock import reference_time
from minihv.machine.processor import Core
from minihv.spec.svm_exits import SvmExit
from minihv.terms import MIB, PAGE_BYTES, Gpa, Gva

SPIN = "spin: inc rbx; jmp spin"


@pytest.mark.parametrize("byte_count", [0, -MIB, MIB - PAGE_BYTES, 2 * MIB + 1])
def test_partition_of_a_size_that_cannot_be_is_refused(byte_count: int) -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor, pytest.raises(ConfigurationError) as refusal:
        hypervisor.create_partition("odd", byte_count)
    assert str(refusal.value) == (
        "A partition's memory must be a multiple of 4 KiB and at least 1 MiB, "
        f"not {byte_count} bytes: write it as 64M or 1G."
    )


@pytest.mark.parametrize("vps", [-1, 0, 65])
def test_partition_of_no_or_too_many_vps_is_refused(vps: int) -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor, pytest.raises(ConfigurationError) as refusal:
        hypervisor.create_partition("odd", 2 * MIB, vps=vps)
    assert str(refusal.value) == (
        f"A partition has 1 to 64 virtual processors, not {vps}: choose --vps in that range."
    )


def test_partition_may_have_64_vps() -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor:
        assert len(hypervisor.create_partition("wide", 2 * MIB, vps=64).vps) == 64


def test_partition_that_does_not_fit_is_refused_and_takes_nothing() -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor:
        before = hypervisor.memory.frames.free_count
        with pytest.raises(ConfigurationError) as refusal:
            hypervisor.create_partition("large", 512 * MIB)
        assert str(refusal.value) == (
            f"The machine has {before * 4 - 4} KiB of system memory left and no run of 524288 KiB in it: "
            "give the machine more, or its partitions less."
        )
        assert hypervisor.memory.frames.free_count == before and not hypervisor.partitions


@pytest.mark.parametrize("left", [0, 1, 257, 258, 259, 260, 300])
def test_partition_that_finds_too_few_frames_is_refused_and_takes_nothing(left: int) -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor:
        frames = hypervisor.memory.frames
        frames.allocate(0x1234, frames.free_count - left)
        with pytest.raises(ConfigurationError) as refusal:
            hypervisor.create_partition("many", 1 * MIB, vps=64)
        assert "KiB of system memory left and no run of" in str(refusal.value)
        assert frames.free_count == left


def test_machine_that_used_up_its_partition_ids_refuses_another() -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor:
        next_id = patch.object(hypervisor, "_next_id", MOST_PARTITIONS + 1)
        with next_id, pytest.raises(ConfigurationError) as refusal:
            hypervisor.create_partition("last", 2 * MIB)
        assert str(refusal.value) == (
            "A machine makes at most 65534 partitions in its life, and it has: build another machine."
        )


@pytest.mark.parametrize("mebibytes", [1, 2, 3, 64, 65])
def test_machine_sized_for_a_partition_has_room_for_it(mebibytes: int) -> None:
    with Hypervisor(machine_bytes(mebibytes * MIB)) as hypervisor:
        made = hypervisor.create_partition("fits", mebibytes * MIB, vps=64)
        made.set_hypercall_page(Gpa(0x1000))
        assert made.gpa_space.ram_bytes == mebibytes * MIB


def test_run_ends_when_no_vp_is_ready() -> None:
    with SmallMachine("nop; hlt", vps=3) as machine:
        assert machine.run() == 3
        assert {vp.state for vp in machine.partition.vps} == {VpState.HALTED}
        assert machine.run() == 0


def test_run_ends_with_its_budget_and_goes_on_where_it_was() -> None:
    with SmallMachine(SPIN) as machine:
        assert [machine.run(1000), machine.run(1), machine.run(0)] == [1000, 1, 0]
        assert machine.vp.counters.blocks == 1001 == machine.vp.read("rbx")


@pytest.mark.parametrize("budget", [None, 150_000])
def test_reference_core_gives_every_lp_its_turn_as_the_native_one_does(budget: int | None) -> None:
    def run(core: Core) -> list[tuple[int, int]]:
        count_down = "mov ecx, 50000; again: dec ecx; jnz again; hlt"
        with SmallMachine(count_down, vps=4, lps=3, core=core) as machine:
            machine.hypervisor.run(budget)
            lps = machine.hypervisor.scheduler.lps
            blocks = [vp.counters.blocks for vp in machine.partition.vps]
            return [(lp.now, lp.busy) for lp in lps] + list(enumerate(blocks))

    assert run(Core.REFERENCE) == run(Core.NATIVE)


def test_exits_do_not_end_a_turn() -> None:
    with SmallMachine("mov ecx, 100; again: out 0x10, al; dec ecx; jnz again; hlt") as machine:
        machine.run()
        assert machine.hypervisor.scheduler.rounds == 1 and machine.vp.counters.exits[0x7B] == 100


def test_progress_is_told_after_each_round_what_was_used() -> None:
    told: list[int] = []
    with SmallMachine(SPIN, vps=2) as machine:
        machine.hypervisor.run(50_000, told.append)
    assert told == [20_000, 40_000, 50_000]


def test_step_executes_one_instruction_and_answers_its_exit() -> None:
    with SmallMachine("mov al, 'x'; out 0xE9, al; nop; hlt") as machine:
        places = []
        for _ in range(4):
            machine.hypervisor.step(machine.vp)
            places.append(machine.vp.read("rip") - CODE)
        assert places == [2, 4, 5, 6] and machine.partition.console == b"x"
        assert machine.vp.state is VpState.HALTED


def test_step_advances_the_time_of_the_machine_by_the_blocks_it_took() -> None:
    with SmallMachine("nop; nop; jmp on; on: nop; hlt") as machine:
        for _ in range(4):
            machine.hypervisor.step(machine.vp)
        assert machine.hypervisor.scheduler.now == machine.vp.counters.blocks == 2


def test_exit_without_a_line_in_the_table_is_a_bug_that_asks_for_a_report() -> None:
    with SmallMachine("nop; pause; hlt") as machine, patch.dict(TABLE):
        del TABLE[SvmExit.HLT]
        with pytest.raises(InternalError) as refusal:
            machine.run()
        assert str(refusal.value) == (
            "Exit 0x78 at RIP 0x100003 has no line in the exit table: please report the guest that did this."
        )


def test_translate_finds_the_page_of_a_vp_that_ran() -> None:
    with SmallMachine() as machine:
        machine.run()
        found = machine.hypervisor.translate(machine.vp, Gva(0x12_3456), 0)
        assert (found.outcome, found.gpa) == (0, 0x12_3456)
        assert found.spa == machine.partition.gpa_space.spa_of(0x12_3456)


def test_run_to_an_address_ends_before_its_instruction() -> None:
    with SmallMachine("inc ebx; inc ebx; inc ebx; hlt") as machine:
        assert machine.hypervisor.run_to(machine.vp, Gva(CODE + 4))
        assert (machine.vp.read("rip"), machine.vp.read("rbx"), machine.vp.state) == (
            CODE + 4,
            2,
            VpState.READY,
        )


def test_run_to_an_address_that_is_not_reached_is_a_run() -> None:
    with SmallMachine("inc ebx; hlt") as machine:
        assert not machine.hypervisor.run_to(machine.vp, Gva(CODE + 0x100))
        assert (machine.vp.state, machine.vp.handle.watches) == (VpState.HALTED, False)


def test_run_to_an_address_stops_the_other_vps_too() -> None:
    with SmallMachine("cmp esi, 1; je 1f; 2: jmp 2b; 1: inc ebx; inc ebx; hlt", vps=2, lps=2) as machine:
        machine.partition.vps[1].write("rsi", 1)
        reached = machine.hypervisor.run_to(machine.partition.vps[1], Gva(CODE + 9))
        assert reached and machine.partition.vps[1].read("rbx") == 1
        assert machine.partition.vps[0].counters.blocks == 20_000


def test_run_goes_on_from_where_a_run_to_an_address_stopped() -> None:
    with SmallMachine("inc ebx; inc ebx; hlt") as machine:
        machine.hypervisor.run_to(machine.vp, Gva(CODE + 2))
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.state) == (2, VpState.HALTED)


def test_interrupt_that_is_pending_goes_before_the_instruction() -> None:
    handlers = {0x40: "inc r15; iretq"}
    with SmallMachine("sti; nop; inc ebx; hlt", handlers=handlers) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        assert machine.hypervisor.run_to(machine.vp, Gva(CODE + 2))
        assert machine.vp.read("r15") == 1


def test_reference_counter_of_a_partition_begins_when_it_is_created() -> None:
    with SmallMachine(SPIN, partitions=2) as machine:
        machine.run(100_000)
        younger = machine.add_partition("younger", "hlt")
        assert machine.partition.created_at == 0
        assert younger.created_at == reference_time(100_000)


def test_closed_machine_has_ended_its_partitions() -> None:
    with SmallMachine(partitions=2) as machine:
        machine.add_partition("other", "hlt")
    assert machine.hypervisor.partitions == {}


@pytest.mark.parametrize(("mebibytes", "tables_kib"), [(4, 8), (3, 8), (1, 4), (4097, 4098 * 2)])
@pytest.mark.parametrize("partitions", [1, 3])
def test_memory_of_a_machine_covers_partitions_their_small_pages_and_ring_minus_1(
    mebibytes: int, tables_kib: int, partitions: int
) -> None:
    ram_kib = (mebibytes + mebibytes % 2) * 1024
    kib = machine_bytes(mebibytes * MIB, partitions) >> 10
    assert kib == 4096 + partitions * (ram_kib + tables_kib + 256)


def test_refused_processor_leaves_no_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []

    def refuse(*_: object) -> None:
        raise ConfigurationError("No processor today.")

    monkeypatch.setattr("minihv.hypervisor.hypervisor.Processor", refuse)
    monkeypatch.setattr(
        "minihv.hypervisor.hypervisor.SystemMemory.close", lambda memory: closed.append(memory)
    )
    with pytest.raises(ConfigurationError, match=r"^No processor today\.$"):
        Hypervisor(4 * MIB)
    assert len(closed) == 1
