"""Every side executes a listing as often as it is told, and counts."""

from minihv.cli.bench.exits import CPUID, does_nothing
from minihv.cli.bench.loops import MEMORY, TIGHT
from minihv.cli.bench.sides import Bare, Binding, Child

EXIT_CPUID = 0x72


def test_child_exits_once_for_each_iteration() -> None:
    with Child(CPUID) as child:
        child.run(7)
        child.run(5)
        assert child.vp.counters.exits[EXIT_CPUID] == 12


def test_bare_engine_intercepts_once_for_each_iteration_and_halts() -> None:
    with Bare(CPUID) as bare:
        before = bare.counters.intercepts
        bare.run(7)
        assert bare.counters.intercepts - before == 7 + 1


def test_both_sides_store_the_same() -> None:
    with Child(MEMORY) as child, Bare(MEMORY) as bare:
        for side in child, bare:
            side.run(20)
        ours, theirs = child.partition.gpa_space.read(0x29_0000, 4096), bare.memory.read(0x29_0000, 4096)
    assert ours == theirs


def test_child_begins_a_block_for_each_iteration() -> None:
    with Child(TIGHT) as child:
        child.run(1000)
        assert child.vp.counters.blocks == 1000 + 1  # and the HLT


def test_binding_calls_its_hook_once_for_each_iteration() -> None:
    calls: list[bool] = []

    def hook(engine: object, user: object) -> bool:
        calls.append(does_nothing(engine, user))
        return calls[-1]

    with Binding(CPUID, hook) as binding:
        binding.run(9)
    assert calls == [False] * 9
