"""The Python walk as MMU: it gets every miss, and its failures come out of the run."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from machines import CODE, TABLES, SmallMachine

from minihv.errors import InternalError
from minihv.machine import reference
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.machine.processor import Core
from minihv.machine.reference import OUTCOMES, RESULT_NAMES, ReferenceWalker, access_of, paging_of
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.nested import nested_walk
from minihv.terms import MIB, Gva

CODE_AND_DATA = "mov rax, [0x9000]; mov [0xA000], rax; hlt"
MESSAGE = "The Python walk raised an exception, where a walk is total."


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(MIB)
    yield made
    made.close()


def failing(*_: object) -> None:
    raise ValueError("a bug")


def test_reference_walk_gets_every_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, AccessKind]] = []

    def walk(memory: SystemMemory, guest: Paging, second: Paging, gva: Gva, access: Access) -> object:
        asked.append((gva & -0x1000, access.kind))
        return nested_walk(memory, guest, second, gva, access)

    monkeypatch.setattr(reference, "nested_walk", walk)
    with SmallMachine(CODE_AND_DATA, core=Core.REFERENCE) as machine:
        machine.run()
        assert len(asked) >= machine.vp.counters.tlb_fills >= 3
    assert {(CODE, AccessKind.EXECUTE), (0x9000, AccessKind.READ), (0xA000, AccessKind.WRITE)} <= {*asked}


def test_native_walk_leaves_the_python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "nested_walk", failing)
    with SmallMachine(CODE_AND_DATA, core=Core.NATIVE) as machine:
        machine.run()
        assert machine.vp.counters.tlb_fills >= 3


def test_guest_cannot_tell_who_walks() -> None:
    with SmallMachine(CODE_AND_DATA, core=Core.REFERENCE) as one, SmallMachine(CODE_AND_DATA) as other:
        for machine in (one, other):
            machine.write(0x9000, 0x1234)
            machine.run()
        assert one.read(0xA000) == other.read(0xA000) == 0x1234
        assert (
            ffi.buffer(ffi.addressof(one.vp.counters))[:] == ffi.buffer(ffi.addressof(other.vp.counters))[:]
        )


@pytest.mark.parametrize("way", ["run", "step"])
def test_exception_of_the_python_walk_comes_out_of_the_run(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    with SmallMachine(CODE_AND_DATA, core=Core.REFERENCE) as machine:
        monkeypatch.setattr(reference, "nested_walk", failing)
        with pytest.raises(InternalError) as refusal:
            machine.run() if way == "run" else machine.hypervisor.step(machine.vp)
        assert str(refusal.value) == MESSAGE
        assert repr(refusal.value.__cause__) == "ValueError('a bug')"


def test_walk_that_failed_finds_no_page_and_is_told_of_once(
    memory: SystemMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "nested_walk", failing)
    walker, result = ReferenceWalker(memory), ffi.new("struct mhv_walk_result *", {"spa": 1, "outcome": 0})
    paging, access = ffi.new("struct mhv_paging *", {"levels": 4}), ffi.new("struct mhv_access *")
    walker.handle.walk(ffi.NULL, paging, paging, 0, access, result)
    assert (result.outcome, result.spa) == (lib.MHV_NOT_CANONICAL, 0)
    with pytest.raises(InternalError):
        walker.raise_if_failed()
    walker.raise_if_failed()


def test_answer_that_cannot_be_written_is_a_failure_too(memory: SystemMemory) -> None:
    walker = ReferenceWalker(memory)
    walker.handle.walk(ffi.NULL, ffi.NULL, ffi.NULL, 0, ffi.NULL, ffi.NULL)
    with pytest.raises(InternalError) as refusal:
        walker.raise_if_failed()
    assert str(refusal.value) == MESSAGE


@pytest.mark.parametrize("code", ["mov rax, [0x40000000]", "mov rax, 1 << 60; mov rax, [rax]"])
def test_refusal_of_the_python_walk_is_the_guests_exception(code: str) -> None:
    with SmallMachine(code, core=Core.REFERENCE) as one, SmallMachine(code, core=Core.NATIVE) as other:
        one.run()
        other.run()
        assert one.vector() == other.vector() is not None
        assert one.frame(error_code=True) == other.frame(error_code=True)


def test_violation_of_the_python_walk_is_an_exit_with_the_gpa() -> None:
    codes = []
    for core in Core:
        with SmallMachine("mov rax, [0x40000000]; hlt", core=core) as machine:
            machine.write(TABLES + 0x1008, 0x4000_0087)  # a GPA of 1 GiB, where the partition has nothing
            machine.run()
            codes.append((machine.vp.control.exit_code, machine.vp.control.exit_info_2))
    assert codes == [(0x400, 0x4000_0000)] * 2


def test_every_part_of_a_paging_is_carried_over() -> None:
    whole = Paging(root=0x5000, levels=5, physical_bits=40, nxe=True, wp=True, smep=True, smap=True)
    flags = ("nxe", "wp", "smep", "smap")
    for each in (whole, *(replace(whole, **{flag: False}) for flag in flags)):
        assert paging_of(ffi.new("struct mhv_paging *", asdict(each))) == each


@pytest.mark.parametrize("flag", ["user", "ac", "implicit"])
@pytest.mark.parametrize("kind", AccessKind)
def test_every_part_of_an_access_is_carried_over(kind: AccessKind, flag: str) -> None:
    access = Access(kind, **{flag: True})
    assert access_of(ffi.new("struct mhv_access *", asdict(access))) == access


def test_every_name_of_a_result_is_in_the_struct() -> None:
    fields = {name for name, _ in ffi.typeof("struct mhv_walk_result").fields}
    assert all(set(names) < fields for names in RESULT_NAMES.values())
    assert sorted(OUTCOMES.values()) == [0, 0, 0, 1, 2, 3, 4]
