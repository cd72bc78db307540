"""MSRs: the permission map, and what RDMSR and WRMSR do with each register."""

from collections.abc import Callable

import pytest
from machines import SmallMachine

from minihv.hypervisor import msrs
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.privileges import CHILD, NONE, Privilege
from minihv.hypervisor.states import VpState
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.spec.msrs import Msr
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Efer
from minihv.terms import MIB, Spa

MAP_BYTES = 0x2000
ALWAYS = {Msr.TSC, Msr.PAT, Msr.EFER, Msr.TSC_AUX, Msr.APIC_BASE, *range(0x800, 0x840)}
BY_PRIVILEGE: dict[int, Privilege] = {
    Msr.GUEST_OS_ID: Privilege.ACCESS_HYPERCALL,
    Msr.HYPERCALL: Privilege.ACCESS_HYPERCALL,
    Msr.VP_INDEX: Privilege.ACCESS_VP_INDEX,
    Msr.RESET: Privilege.ACCESS_RESET,
    Msr.VP_RUNTIME: Privilege.ACCESS_VP_RUNTIME,
    Msr.TIME_REF_COUNT: Privilege.ACCESS_REFERENCE_COUNTER,
    Msr.TSC_FREQUENCY: Privilege.ACCESS_FREQUENCY,
    Msr.APIC_FREQUENCY: Privilege.ACCESS_FREQUENCY,
    Msr.REFERENCE_TSC: Privilege.ACCESS_REFERENCE_TSC,
    Msr.GUEST_IDLE: Privilege.ACCESS_GUEST_IDLE,
    **dict.fromkeys((Msr.EOI, Msr.ICR, Msr.TPR, Msr.VP_ASSIST_PAGE), Privilege.ACCESS_APIC),
    **dict.fromkeys(range(Msr.STIMER0_CONFIG, Msr.STIMER3_COUNT + 1), Privilege.ACCESS_SYNTHETIC_TIMERS),
    **dict.fromkeys((Msr.SCONTROL, Msr.SVERSION, Msr.SIEFP, Msr.SIMP, Msr.EOM), Privilege.ACCESS_SYNIC),
    **dict.fromkeys(range(Msr.SINT0, Msr.SINT15 + 1), Privilege.ACCESS_SYNIC),
}
READ_ONLY = (
    Msr.VP_INDEX, Msr.VP_RUNTIME, Msr.TIME_REF_COUNT, Msr.TSC_FREQUENCY, Msr.APIC_FREQUENCY, Msr.GUEST_IDLE,
)  # fmt: skip
ABSENT = sorted(set(Msr) - ALWAYS - set(BY_PRIVILEGE) - set(msrs.PASSED_THROUGH))
READ = "rdmsr; shl rdx, 32; or rax, rdx; mov rbx, rax;"
"""The MSR in ECX, to RBX."""
WRITE = "mov rax, rsi; mov rdx, rsi; shr rdx, 32; wrmsr;"
"""RSI to the MSR in ECX."""


def permission_map() -> bytes:
    memory = SystemMemory(1 * MIB)
    msrs.write_permission_map(memory, Spa(0x4000))
    made = memory.read(0x4000, MAP_BYTES)
    memory.close()
    return made


def guest(
    code: str, msr: int, value: int = 0, setup: Callable[[Partition], None] | None = None
) -> tuple[int, int | None]:
    """What is in RBX after ``code`` ran, and the exception that ended it."""
    with SmallMachine(code + "hlt", registers={"rcx": msr, "rsi": value}) as machine:
        if setup is not None:
            setup(machine.partition)
        machine.run()
        return machine.vp.read("rbx"), machine.vector()


def identify(partition: Partition) -> None:
    partition.guest_os_id = 1


@pytest.mark.parametrize("msr", msrs.PASSED_THROUGH, ids=str)
def test_map_lets_both_accesses_to_a_plain_register_through(msr: Msr) -> None:
    start, base = {0: (0, 0), 3: (0x800, 0xC000_0000)}[msr >> 30]
    bit = 8 * start + 2 * (msr - base)
    assert permission_map()[bit // 8] >> bit % 8 & 0b11 == 0


def test_map_intercepts_everything_else() -> None:
    intercepted = sum(byte.bit_count() for byte in permission_map())
    assert intercepted == 8 * MAP_BYTES - 2 * len(msrs.PASSED_THROUGH)


@pytest.mark.parametrize("msr", msrs.PASSED_THROUGH, ids=str)
def test_guest_writes_and_reads_a_plain_register_without_an_exit(msr: Msr) -> None:
    with SmallMachine(WRITE + READ + "hlt", registers={"rcx": int(msr), "rsi": 0x1238}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x1238 and machine.vp.counters.exits[SvmExit.MSR] == 0


def test_every_register_of_the_policy_asks_for_the_privilege_of_the_tlfs() -> None:
    assert {
        number: policy.privilege for number, policy in msrs.POLICY.items() if policy.privilege
    } == BY_PRIVILEGE
    assert set(msrs.available_msrs(NONE)) == ALWAYS


@pytest.mark.parametrize("msr", BY_PRIVILEGE, ids=str)
def test_register_is_there_only_for_a_partition_with_its_privilege(msr: Msr) -> None:
    assert msr in msrs.available_msrs(BY_PRIVILEGE[msr])
    assert msr not in msrs.available_msrs(CHILD & ~BY_PRIVILEGE[msr])


@pytest.mark.parametrize("msr", BY_PRIVILEGE, ids=str)
def test_register_of_a_privilege_that_is_missing_can_be_neither_read_nor_written(msr: Msr) -> None:
    with Hypervisor(machine_bytes(2 * MIB)) as hypervisor:
        privileges = CHILD & ~BY_PRIVILEGE[msr]
        vp = hypervisor.create_partition("poor", 2 * MIB, privileges=privileges).vps[0]
        assert msrs.read_msr(vp, msr) is None and not msrs.write_msr(vp, msr, 0)


@pytest.mark.parametrize("msr", READ_ONLY, ids=str)
def test_write_to_a_read_only_register_is_a_general_protection_fault(msr: Msr) -> None:
    assert guest(WRITE, msr)[1] == Vector.GP


@pytest.mark.parametrize("code", [READ, WRITE])
@pytest.mark.parametrize("msr", [*ABSENT, 0x2000, 0x4000_0200, 0xBFFF_FFFF, 0xC001_2000, 0xFFFF_FFFF])
def test_register_that_is_not_there_is_a_general_protection_fault(code: str, msr: int) -> None:
    assert guest(code, msr)[1] == Vector.GP


def test_fault_of_an_msr_is_met_at_its_instruction_with_error_code_0() -> None:
    with SmallMachine("nop; rdmsr; hlt", registers={"rcx": 0x1234}) as machine:
        machine.run()
        assert machine.frame(error_code=True).rip == 0x10_0001
        assert machine.frame(error_code=True).error_code == 0


def test_upper_half_of_rcx_names_no_register() -> None:
    assert guest(READ, 0xDEAD_0000_0000_0000 | Msr.TSC_FREQUENCY) == (1_000_000_000, None)


@pytest.mark.parametrize("msr", [Msr.TSC_FREQUENCY, Msr.APIC_FREQUENCY], ids=str)
def test_frequencies_are_those_of_virtual_time(msr: Msr) -> None:
    assert guest(READ, msr) == (1_000_000_000, None)


def test_tsc_goes_on_from_what_was_written() -> None:
    rdtsc = "rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax;"
    (read, _), (executed, _) = guest(WRITE + READ, Msr.TSC, 1 << 50), guest(WRITE + rdtsc, Msr.TSC, 1 << 50)
    assert 0 <= read - (1 << 50) < 100 and 0 <= executed - (1 << 50) < 100


def test_tsc_may_be_set_back_to_zero() -> None:
    assert guest("mov edi, 100; spin: dec edi; jnz spin;" + WRITE + READ, Msr.TSC)[0] < 100


def test_tsc_aux_holds_32_bits() -> None:
    assert guest(WRITE + READ, Msr.TSC_AUX, 0xFFFF_FFFF) == (0xFFFF_FFFF, None)


def test_tsc_aux_that_was_refused_is_unchanged() -> None:
    with SmallMachine() as machine:
        assert msrs.write_msr(machine.vp, Msr.TSC_AUX, 5)
        assert not msrs.write_msr(machine.vp, Msr.TSC_AUX, 1 << 32 | 6)
        assert msrs.read_msr(machine.vp, Msr.TSC_AUX) == 5


def test_rdtscp_returns_tsc_aux() -> None:
    assert guest(WRITE + "rdtscp; mov ebx, ecx;", Msr.TSC_AUX, 0x77) == (0x77, None)


@pytest.mark.parametrize("value", [0, 0x0102_0304_0506_0700, 0x03, 0xFF])
def test_pat_takes_only_memory_types_that_exist(value: int) -> None:
    legal = all(kind in (0, 1, 4, 5, 6, 7) for kind in value.to_bytes(8, "little"))
    read, vector = guest(WRITE + READ, Msr.PAT, value)
    assert (read, vector) == ((value, None) if legal else (0, Vector.GP))


def test_pat_of_all_types_is_read_back() -> None:
    assert guest(WRITE + READ, Msr.PAT, 0x0007_0605_0401_0006) == (0x0007_0605_0401_0006, None)


def test_efer_takes_syscall_and_no_execute_and_keeps_long_mode() -> None:
    wanted = int(Efer.LME | Efer.SCE)
    assert guest(WRITE + READ, Msr.EFER, wanted) == (wanted | int(Efer.LMA), None)


@pytest.mark.parametrize("value", [0, Efer.LMA, 0xD00 | 1 << 1, 0xD00 | 1 << 12, 0xD00 | 1 << 63], ids=hex)
def test_efer_without_long_mode_with_svm_or_with_a_reserved_bit_is_refused(value: int) -> None:
    assert guest(WRITE, Msr.EFER, value)[1] == Vector.GP


def test_vp_reads_its_index() -> None:
    with SmallMachine(READ + "hlt", vps=3, registers={"rcx": int(Msr.VP_INDEX)}) as machine:
        machine.run()
        assert [vp.read("rbx") for vp in machine.partition.vps] == [0, 1, 2]


def test_guest_os_id_is_the_partitions_and_not_interpreted() -> None:
    with SmallMachine(vps=2) as machine:
        assert msrs.write_msr(machine.vp, Msr.GUEST_OS_ID, 0x8100_1234_5678_9ABC)
        assert msrs.read_msr(machine.partition.vps[1], Msr.GUEST_OS_ID) == 0x8100_1234_5678_9ABC


def test_hypercall_page_stays_off_without_an_identity() -> None:
    assert guest(WRITE + READ, Msr.HYPERCALL, 0x10_3001) == (0x10_3000, None)


def test_hypercall_page_lies_where_it_was_put() -> None:
    code = WRITE + READ + "mov eax, [0x103000]; shl rax, 32; or rbx, rax;"
    assert guest(code, Msr.HYPERCALL, 0x10_3001, identify) == (0xC3D9_010F_0010_3001, None)


@pytest.mark.parametrize("gpa", [2 * MIB, 1 << 40, 0xFFFF_FFFF_FFFF_F000], ids=hex)
def test_hypercall_page_outside_memory_is_refused_and_changes_nothing(gpa: int) -> None:
    with SmallMachine() as machine:
        identify(machine.partition)
        msrs.write_msr(machine.vp, Msr.HYPERCALL, 0x10_3001)
        assert not msrs.write_msr(machine.vp, Msr.HYPERCALL, gpa | 1)
        assert msrs.read_msr(machine.vp, Msr.HYPERCALL) == 0x10_3001
        assert machine.partition.hypercall_page == 0x10_3000


def test_hypercall_register_preserves_the_bits_that_mean_nothing() -> None:
    assert guest(WRITE + READ, Msr.HYPERCALL, 0x10_3FF1, identify) == (0x10_3FF1, None)


def test_loss_of_identity_takes_the_hypercall_page_away() -> None:
    with SmallMachine() as machine:
        identify(machine.partition)
        msrs.write_msr(machine.vp, Msr.HYPERCALL, 0x10_3001)
        msrs.write_msr(machine.vp, Msr.GUEST_OS_ID, 0)
        assert machine.partition.hypercall_page is None
        msrs.write_msr(machine.vp, Msr.GUEST_OS_ID, 1)
        assert msrs.read_msr(machine.vp, Msr.HYPERCALL) == 0x10_3000


def test_reset_ends_the_partition_and_reads_zero() -> None:
    with SmallMachine(READ + WRITE + "hlt", registers={"rcx": int(Msr.RESET), "rsi": 1}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0 and machine.partition.exit_status == 0
        assert machine.partition.why == "the guest reset itself through HV_X64_MSR_RESET"


def test_reset_without_its_bit_does_nothing() -> None:
    with SmallMachine(WRITE + "hlt", registers={"rcx": int(Msr.RESET), "rsi": 2}) as machine:
        machine.run()
        assert not machine.partition.is_shut_down and machine.vp.state is VpState.HALTED


SPIN_THEN_READ = "mov edi, 50000; spin: dec edi; jnz spin;" + READ + "hlt"


@pytest.mark.parametrize("lps", [1, 2, 4])
def test_run_time_counts_only_a_vps_own_blocks(lps: int) -> None:
    with SmallMachine(SPIN_THEN_READ, vps=4, lps=lps, registers={"rcx": int(Msr.VP_RUNTIME)}) as machine:
        machine.run(1 << 20)
        assert {vp.read("rbx") for vp in machine.partition.vps} == {50_001 * 4 // 100}


def test_reference_counter_counts_the_time_of_the_machine() -> None:
    with SmallMachine(SPIN_THEN_READ, vps=4, registers={"rcx": int(Msr.TIME_REF_COUNT)}) as machine:
        machine.run(1 << 20)
        read = [vp.read("rbx") for vp in machine.partition.vps]
        assert read == [
            (160_000 + 10_001 * turn + index) * 4 // 100 for index, turn in enumerate(range(1, 5))
        ]


def test_reference_counter_never_goes_back_between_vps_that_share_an_lp() -> None:
    compare = "xor edx, edx; cmp rbx, [0x9000]; setb dl; or edi, edx; mov [0x9000], rbx;"
    code = f"again: {READ} {compare} inc r8; cmp r8, 9000; jne again; hlt"
    with SmallMachine(code, vps=3, registers={"rcx": int(Msr.TIME_REF_COUNT)}) as machine:
        machine.run(1 << 20)
        assert [(vp.read("rdi"), vp.read("r8")) for vp in machine.partition.vps] == [(0, 9000)] * 3


def test_reference_counter_of_a_later_partition_begins_near_zero() -> None:
    with SmallMachine("mov edi, 50000; spin: dec edi; jnz spin; hlt", partitions=2) as machine:
        machine.run(1 << 20)
        later = machine.add_partition("later", f"mov ecx, {int(Msr.TIME_REF_COUNT)};" + READ + "hlt")
        machine.run()
        assert later.vps[0].read("rbx") == 0


def test_hypercall_page_that_no_frame_is_left_for_raises_gp_and_changes_nothing() -> None:
    with Hypervisor(8 * MIB) as hypervisor:
        partition = hypervisor.create_partition("crowded", 2 * MIB)
        frames = hypervisor.memory.frames
        while frames.free_count:
            frames.allocate(HYPERVISOR)
        msrs.write_msr(partition.vps[0], Msr.GUEST_OS_ID, 1)
        assert not msrs.write_msr(partition.vps[0], Msr.HYPERCALL, 0x5001)
        assert partition.hypercall_page is None and msrs.read_msr(partition.vps[0], Msr.HYPERCALL) == 0
