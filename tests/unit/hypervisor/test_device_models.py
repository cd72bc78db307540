"""A partition whose devices are in ring -1 is answered within its exit; a crash there ends the machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from machines import CODE, SmallMachine

from minihv.hypervisor.device_models import ModelCrash
from minihv.hypervisor.states import VpState
from minihv.spec.hypercalls import RegisterName

PORT, LENGTH = 0x70, 2


class Told:
    """Devices that answer as they were told; None: by a crash."""

    why = "there is no such device"

    def __init__(self, values: Mapping[RegisterName, int] | None) -> None:
        self.values = values

    def answer(self, _kind: int, _payload: bytes) -> Mapping[RegisterName, int]:
        if self.values is None:
            raise ModelCrash("it divided by zero")
        return self.values


@contextmanager
def machine(values: Mapping[RegisterName, int] | None) -> Iterator[SmallMachine]:
    with SmallMachine(f"in al, {PORT:#x}; hlt", partitions=2) as small:
        small.partition.models = Told(values)
        small.partition.intercepts.ports.add(PORT)
        yield small


def test_values_of_the_model_are_the_registers_of_the_vp() -> None:
    with machine({RegisterName.RAX: 0x55, RegisterName.RIP: CODE + LENGTH}) as small:
        small.run()
        assert small.vp.read("rax") == 0x55 and small.vp.state is VpState.HALTED
        assert small.vp.counters.world_switches == 1


def test_answer_without_registers_leaves_the_vp_suspended_for_good() -> None:
    with machine({}) as small:
        small.run()
        assert (small.vp.state, small.vp.why) == (VpState.SUSPENDED, "there is no such device")


def test_crash_of_a_model_ends_every_partition_and_the_run() -> None:
    with machine(None) as small:
        other = small.add_partition("other", "1: jmp 1b")
        small.run()
        assert [one.has_crashed for one in (small.partition, other)] == [True, True]
        assert other.why == "ring -1 has crashed: it divided by zero"
        assert small.run() == 0 and other.has_stopped
