"""Whatever tables a child builds and whatever it executes, it reaches its own frames and no others."""

from hashlib import blake2b
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import CODE, MEMORY, TABLES, SmallMachine, enter_at
from streams import RESUME, RESUME_BEHIND_ERROR_CODE, WITH_ERROR_CODE, shaped

from minihv.hypervisor.partition import Partition
from minihv.hypervisor.states import VpState
from minihv.machine.frames import FREE
from minihv.machine.processor import PagingMode
from minihv.terms import PAGE_BYTES
from minihv.testing import Shares

CANARY, NOBODY = 0xA5, 0xBEEF
TOUCH_ALL = """
again:
    mov rax, [rbx]
    add rbx, rcx
    mov [rbx], rax
    add rbx, rcx
    imul rcx, rcx, 0x6255
    add rcx, 0x1003
    and rcx, rdx
    jmp again
"""
"""Reads and writes all over the GVA space, by steps that a multiplication makes."""
SKIP_3 = "add rsp, 8; add qword ptr [rsp], 3; add rbx, rcx; iretq"
SKIP = {13: SKIP_3, 14: SKIP_3}
RESUMING = {
    v: RESUME_BEHIND_ERROR_CODE if v in WITH_ERROR_CODE else RESUME for v in (*range(8), *range(10, 15))
}


def neighbours(handlers: dict[int, str]) -> SmallMachine:
    """Two partitions beside each other, and a canary in every frame that is neither's nor ring -1's."""
    made = SmallMachine(TOUCH_ALL, partitions=2, handlers=handlers)
    made.add_partition("neighbour", "hlt").vps[0].state = VpState.IDLE
    memory = made.hypervisor.memory
    for frame in np.flatnonzero(memory.frames.owners == FREE):
        memory.view[int(frame) * PAGE_BYTES : (int(frame) + 1) * PAGE_BYTES] = CANARY
    memory.frames.owners[memory.frames.owners == FREE] = NOBODY
    return made


def outside(machine: SmallMachine, partition: Partition) -> dict[int, bytes]:
    """A digest of each frame that neither ``partition`` nor the walks and exits of its VPs may write."""
    memory, frames = machine.hypervisor.memory, machine.hypervisor.memory.frames
    own = second_level_frames(machine, partition) | {vp.vmcb_spa >> 12 for vp in partition.vps}
    own |= set(range(3))  # the stub, the effective VMCB and the host save area of the processor
    return {
        int(frame): blake2b(memory.read(int(frame) * PAGE_BYTES, PAGE_BYTES), digest_size=8).digest()
        for frame in np.flatnonzero(frames.owners != partition.id)
        if int(frame) not in own
    }


def second_level_frames(machine: SmallMachine, partition: Partition) -> set[int]:
    """The frames of the partition's second-level tables, in which walks set A and D."""
    memory, found = machine.hypervisor.memory, set()
    tables: list[tuple[int, int]] = [(partition.gpa_space.root, 4)]
    while tables:
        table, level = tables.pop()
        found.add(table >> 12)
        entries = [memory.read_u64(table + 8 * index) for index in range(512)] if level > 1 else []
        tables += [(e & 0xF_FFFF_F000, level - 1) for e in entries if e & 1 and not e & 0x80]
    return found


def entry_like(random: Random) -> int:
    """An entry of a page table: anything from well made to garbage."""
    if random.random() < 0.1:
        return random.getrandbits(64)
    address = random.choice((random.getrandbits(9), random.getrandbits(9), random.getrandbits(28))) << 12
    flags = random.choice((7, 7, 7, 3, 0x87, 0xE7, 0x67))
    return address | flags


def fill_tables(machine: SmallMachine, random: Random) -> None:
    """Garbage in the tables of the guest, except on the way to its code, its stack and its IDT."""
    write = machine.partition.gpa_space.write
    for table in (TABLES, TABLES + 0x1000, TABLES + 0x2000, *range(0x8_0000, 0x9_0000, PAGE_BYTES)):
        words = [entry_like(random) for _ in range(512)]
        if table < 0x8_0000:
            words[0] = machine.read(table)
        write(table, b"".join(word.to_bytes(8, "little") for word in words))


def check(machine: SmallMachine, blocks: int) -> None:
    """The child runs; nothing outside has changed, and the neighbour still does what it always did."""
    before, second = outside(machine, machine.partition), second_level_frames(machine, machine.partition)
    machine.run(blocks)
    assert outside(machine, machine.partition) == before
    assert second_level_frames(machine, machine.partition) == second
    neighbour = machine.hypervisor.partitions[machine.partition.id + 1].vps[0]
    machine.vp.state, neighbour.state = VpState.SUSPENDED, VpState.READY
    machine.run(100)
    assert neighbour.state is VpState.HALTED and neighbour.read("rip") == CODE + 1


def test_random_tables_lead_nowhere_but_to_the_child_s_own_frames() -> None:
    shares = Shares()

    @settings(max_examples=40)
    @given(st.integers(0, 1 << 32))
    def stays_inside(seed: int) -> None:
        random = Random(seed)
        with neighbours(SKIP) as machine:
            fill_tables(machine, random)
            reach = random.choice((0xFFFF, (1 << 30) - 1, (1 << 47) - 1))
            for name, value in {"rbx": 0, "rcx": random.getrandbits(20), "rdx": reach}.items():
                machine.vp.write(name, value)
            check(machine, 3000)
            shares.add("met the end of RAM" if machine.vp.counters.exits[256] else "stayed in RAM")
            shares.add("faulted" if machine.vp.counters.exceptions[14] else "never faulted")

    stays_inside()
    shares.assert_floors({"met the end of RAM": 0.1, "stayed in RAM": 0.05, "faulted": 0.2})


def test_random_code_over_random_tables_changes_no_frame_outside() -> None:
    shares = Shares()

    @settings(max_examples=40)
    @given(st.integers(0, 1 << 32), st.sampled_from([0, 3]))
    def stays_inside(seed: int, ring: int) -> None:
        random = Random(seed)
        with neighbours(RESUMING) as machine:
            fill_tables(machine, random)
            machine.partition.gpa_space.write(CODE, shaped(random, 400))
            enter_at(machine.vp, CODE, ring=ring)
            machine.vp.write("rbx", random.getrandbits(47))
            check(machine, 2000)
            shares.add("many blocks" if machine.vp.counters.blocks > 50 else "few blocks")

    stays_inside()
    shares.assert_floors({"many blocks": 0.3})


@pytest.mark.parametrize("mode", list(PagingMode))
def test_every_gpa_beyond_the_ram_of_a_child_suspends_it(mode: PagingMode) -> None:
    for gpa in (MEMORY, MEMORY + 8, 1 << 30, (1 << 39) + 0x1000, (1 << 40) - 8):
        with SmallMachine(
            "mov [rbx], rax; hlt", paging=mode, registers={"rbx": 1 << 39 | gpa & 0x1F_FFFF}
        ) as machine:
            machine.write(TABLES + 8, 0x8_0007)
            machine.write(0x8_0000, 0x8_1007)
            machine.write(0x8_1000, gpa & -(1 << 21) | 0x87)
            machine.run(100)
            assert machine.vp.state is VpState.SUSPENDED
            assert machine.vp.control.exit_info_2 == gpa


def test_tables_of_a_child_may_lie_in_its_own_frames_only() -> None:
    with SmallMachine("mov cr3, rbx; nop; hlt", registers={"rbx": MEMORY + 0x1000}) as machine:
        machine.run(100)
        assert machine.vp.state is VpState.SUSPENDED
        assert machine.vp.why == (
            "VP 0 wrote to GPA 0x201000 while the processor walked its page tables, "
            "where its partition has no memory and no parent answers"
        )


def test_frames_of_a_deleted_child_come_to_the_next_one_without_a_trace_of_it() -> None:
    with SmallMachine(TOUCH_ALL, handlers=SKIP, registers={"rdx": 0xFFFF}) as machine:
        machine.run(1000)
        first, frames = machine.partition.gpa_space.spa_of(0), machine.hypervisor.memory.frames
        machine.hypervisor.delete_partition(machine.partition.id)
        assert frames.owned_by(machine.partition.id) == 0
        successor = machine.hypervisor.create_partition("successor", MEMORY)
        assert successor.gpa_space.spa_of(0) == first
        assert not any(successor.gpa_space.read(0, MEMORY))
