"""The seam between the run loop and the shadow tables, for either core."""

import pytest
from machines import MEMORY, TABLES, SmallMachine

from minihv.errors import InternalError
from minihv.machine import shadow
from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import SIGNATURES, ShadowOptions, ShadowTables
from minihv.paging.access import Paging
from minihv.paging.shadow import Shadow, ShadowPolicy
from minihv.terms import MIB

TOUCH = "mov rax, [0x8000]; mov [0x9000], rax; invlpg [0x8000]; mov rax, cr3; mov cr3, rax; hlt"


def machine(core: Core = Core.NATIVE, policy: ShadowPolicy = ShadowPolicy.TRAP) -> SmallMachine:
    return SmallMachine(TOUCH, paging=PagingMode.SHADOW, core=core, shadow=ShadowOptions(policy))


def tables(made: SmallMachine) -> ShadowTables:
    found = made.partition.shadow
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("options", "mebibytes", "frames"),
    [(ShadowOptions(), 2, 66), (ShadowOptions(), 1024, 1088), (ShadowOptions(frame_count=20), 64, 20)],
)
def test_frames_are_for_two_sets_of_tables_unless_told(
    options: ShadowOptions, mebibytes: int, frames: int
) -> None:
    assert options.frames_for(mebibytes * MIB) == frames


@pytest.mark.parametrize("policy", list(ShadowPolicy))
def test_both_cores_leave_the_same_counters_and_tables(policy: ShadowPolicy) -> None:
    with machine(Core.NATIVE, policy) as one, machine(Core.REFERENCE, policy) as other:
        one.run(), other.run()
        assert one.vp.read("rip") == other.vp.read("rip") and tables(one).counters == tables(other).counters
        roots = [tables(each).root(Paging(TABLES, physical_bits=40, nxe=True)) for each in (one, other)]
        assert roots[0] == roots[1] is not None
        assert one.vp.counters.walk_references == other.vp.counters.walk_references


def test_frames_of_the_tables_are_given_back() -> None:
    with machine() as made:
        before = made.hypervisor.memory.frames.free_count
        second = made.add_partition("other", "hlt")
        assert before - made.hypervisor.memory.frames.free_count > MEMORY // 4096 + 66
        made.hypervisor.delete_partition(second.id)
        assert made.hypervisor.memory.frames.free_count == before


def test_dropped_tables_are_built_again() -> None:
    with machine() as made:
        made.run()
        fills = made.vp.counters.shadow_fills
        tables(made).drop()
        assert tables(made).counters.pages == 0 < fills


@pytest.mark.parametrize("core", list(Core))
def test_rights_to_write_are_taken(core: Core) -> None:
    with SmallMachine("here: mov [0x9000], rax; hlt; jmp here", paging=PagingMode.SHADOW, core=core) as made:
        made.run()
        before = int(made.vp.counters.shadow_fills)
        tables(made).take_writes()
        made.hypervisor.processor.flush()
        made.vp.state = type(made.vp.state).READY
        made.run()
        assert made.vp.counters.shadow_fills == before + 1


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"written", "drop"}))
def test_exception_of_the_python_tables_comes_out_of_the_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a bug")

    with machine(Core.REFERENCE) as made:
        monkeypatch.setattr(Shadow, name, fails)
        with pytest.raises(InternalError) as refused:
            made.run()
        assert repr(refused.value.__cause__) == "ValueError('a bug')"


def test_every_function_of_the_service_has_a_signature() -> None:
    fields = {name for name, _ in shadow.ffi.typeof("struct mhv_shadow_service").fields}
    assert fields == set(SIGNATURES) | {"user", "next"}
