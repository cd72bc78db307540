"""Tracing: every exit, delivery and world switch is told once, in order, in words."""

from collections import Counter
from unittest.mock import patch

import pytest
from builders import without_shadow
from machines import CODE, GDT, MEMORY, SmallMachine

from minihv.hypervisor.exits import TABLE, Answerer, Exit
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.ports import Port
from minihv.hypervisor.states import VpState
from minihv.hypervisor.synic import Message
from minihv.hypervisor.tracing import VpTracer, describe, event_of
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.native import ffi, lib
from minihv.machine.processor import PagingMode
from minihv.spec.hypercalls import Status
from minihv.spec.svm_exits import SvmExit
from minihv.spec.synic import PortType
from minihv.terms import Gpa
from minihv.trace import Event

EXITS = "mov ecx, {}; again: out 0x10, al; xor eax, eax; push rcx; cpuid; pop rcx; dec ecx; jnz again; hlt"
CAPACITY = 4096


def raw(kind: int, **numbers: int) -> object:
    return ffi.new("struct mhv_trace_event *", {"kind": kind, **numbers})


class TracedMachine(SmallMachine):
    """A small machine whose events are kept."""

    def __post_init__(self) -> None:
        self.events: list[Event] = []
        self.hypervisor = Hypervisor(
            machine_bytes(MEMORY, self.partitions), lps=self.lps, paging=self.paging, trace=self.events.append
        )
        self.partition = self.add_partition("small", self.code)

    def traced(self, kind: str = "exit", vp: int = 0) -> Counter[str]:
        """How many events of ``kind`` VP ``vp`` has, by name."""
        return Counter(event.name for event in self.events if (event.kind, event.vp) == (kind, vp))

    def counted(self, vp: int = 0) -> Counter[str]:
        """The same from the counters."""
        exits = self.partition.vps[vp].counters.exits
        names = {
            code: SvmExit(code if code < 256 else code - 256 + 0x400).name
            for code in range(272)
            if exits[code]
        }
        return Counter({name: exits[code] for code, name in names.items()})


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize("count", [1, 100, 3 * CAPACITY])
def test_every_exit_that_is_counted_is_told_however_many_there_are(mode: PagingMode, count: int) -> None:
    with TracedMachine(EXITS.format(count), paging=mode) as machine:
        machine.run(10 * count + 10)
        assert machine.traced() == machine.counted()
        assert without_shadow(machine.counted()) == {"IOIO": count, "CPUID": count, "HLT": 1}


def test_vps_that_take_turns_tell_their_events_apart() -> None:
    with TracedMachine(EXITS.format(5000), vps=3, lps=2) as machine:
        machine.run(1 << 20)
        for vp in range(3):
            assert machine.traced(vp=vp) == machine.counted(vp)
            assert (
                machine.traced("world switch", vp)["VMRUN"]
                == machine.partition.vps[vp].counters.world_switches
            )


def test_partitions_tell_their_events_apart() -> None:
    with TracedMachine("cpuid; hlt", partitions=2) as machine:
        machine.add_partition("other", "hlt")
        machine.run()
        exits = [(event.partition, event.name) for event in machine.events if event.kind == "exit"]
        assert exits == [(1, "CPUID"), (1, "HLT"), (2, "HLT")]


def test_events_come_in_the_order_of_time() -> None:
    with TracedMachine(EXITS.format(100)) as machine:
        machine.run()
        times = [event.time_ns for event in machine.events]
        assert times == sorted(times) and times[-1] == machine.vp.counters.blocks * 4


def test_last_exit_of_a_vp_that_is_suspended_is_told() -> None:
    map_hole = "mov rax, 0x40000083; mov [0x5008], rax;"
    with TracedMachine(map_hole + "mov edi, 0x200000; mov dx, 0x10; insb; hlt") as machine:
        machine.run()
        assert machine.vp.state is VpState.SUSPENDED
        assert machine.traced() == machine.counted() == {"NPF": 1}


def test_event_that_comes_up_while_an_exit_is_answered_is_told_before_the_run_ends() -> None:
    def answer(_hypervisor: Hypervisor, vp: VirtualProcessor) -> None:
        vp.state = VpState.SUSPENDED
        vp.handle.trace.events[0] = vp.handle.trace.events[1]
        vp.handle.trace.count = 1

    line = Exit(answer, Answerer.RING_MINUS_1, "an exit within an exit")
    with TracedMachine("out 0x10, al") as machine, patch.dict(TABLE, {SvmExit.IOIO: line}):
        machine.run()
        assert machine.traced() == {"IOIO": 2} and machine.vp.handle.trace.count == 0


@pytest.mark.parametrize("count", [3, CAPACITY + 100])
def test_single_steps_tell_what_a_run_tells(count: int) -> None:
    with TracedMachine(EXITS.format(count)) as machine, TracedMachine(EXITS.format(count)) as stepped:
        machine.run(10 * count)
        while stepped.vp.state is VpState.READY:
            stepped.hypervisor.step(stepped.vp)
        assert stepped.traced() == machine.traced() == machine.counted()


def test_deleted_partition_leaves_no_buffer_behind() -> None:
    with TracedMachine(vps=2) as machine:
        tracer = machine.hypervisor._tracer
        assert isinstance(tracer, VpTracer) and len(tracer._buffers) == 2
        machine.hypervisor.delete_partition(machine.partition.id)
        assert tracer._buffers == {}


def test_event_of_an_exit_has_its_time_place_and_numbers() -> None:
    with TracedMachine("nop; out 0x10, al; hlt") as machine:
        machine.run()
        exit_event = next(event for event in machine.events if event.kind == "exit")
        detail = {"exit_info_1": 0x0010_0210, "exit_info_2": CODE + 3}
        assert exit_event == Event(4, 1, 0, "exit", "IOIO", CODE + 1, detail)


def test_event_of_an_exception_has_its_vector_and_error_code() -> None:
    with TracedMachine("mov rax, [0x40000000]; hlt") as machine:
        machine.run()
        fault = next(event for event in machine.events if event.kind == "exception")
        assert (fault.name, fault.rip) == ("#PF", CODE)
        assert fault.detail == {"vector": 14, "error_code": 0, "cr2": 0x4000_0000}


def test_event_of_a_world_switch_has_the_guests_cr3() -> None:
    with TracedMachine() as machine:
        machine.run()
        assert machine.events[0].name == "VMRUN" and machine.events[0].detail == {"cr3": GDT + 0x1000}


@pytest.mark.parametrize(
    ("kind", "a", "words"),
    [
        (lib.MHV_TRACE_EXIT, 0x72, ("exit", "CPUID")),
        (lib.MHV_TRACE_EXIT, 0x4FF, ("exit", "0x4ff")),
        (lib.MHV_TRACE_EXCEPTION, 13, ("exception", "#GP")),
        (lib.MHV_TRACE_EXCEPTION, 15, ("exception", "vector 0xf")),
        (lib.MHV_TRACE_INTERRUPT, 0x40, ("interrupt", "vector 0x40")),
        (lib.MHV_TRACE_WORLD_SWITCH, 0x3000, ("world switch", "VMRUN")),
    ],
)
def test_event_has_the_name_of_the_standard_or_else_a_number(
    kind: int, a: int, words: tuple[str, str]
) -> None:
    assert describe(raw(kind, a=a))[:2] == words


def test_time_of_an_event_is_in_nanoseconds() -> None:
    made = raw(lib.MHV_TRACE_INTERRUPT, time=25, rip=0x1234, a=0x40, vp_index=3)
    assert event_of(9, made) == Event(100, 9, 3, "interrupt", "vector 0x40", 0x1234, {"vector": 0x40})


def test_message_is_told_with_the_time_of_the_machine_and_the_place_of_its_receiver() -> None:
    with TracedMachine("nop; hlt") as machine:
        machine.run()
        machine.vp.synic.write_control(1)
        machine.vp.synic.write_simp(0x8001)
        machine.vp.synic.post(2, Message(1, 0x201, b"abc"))
        detail = {"sint": 2, "type": 1, "origin": 0x201, "payload_bytes": 3}
        time_ns, rip = machine.hypervisor.now * 4, machine.vp.read("rip")
        assert machine.events[-1] == Event(time_ns, 1, 0, "message", "placed", rip, detail)


def test_signal_comes_behind_the_exit_that_made_it() -> None:
    signal = "mov ecx, 0x1005D; mov edx, 1; call 0x103000; hlt"
    with TracedMachine(signal) as machine:
        port = Port(machine.partition, 1, PortType.EVENT, 1, 2, 0, flag_count=1)
        assert machine.hypervisor.ports.connect(1, 1, port) is Status.SUCCESS
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        for write, value in (("sint", (2, 0x52)), ("siefp", (0x8001,)), ("control", (1,))):
            assert getattr(machine.vp.synic, f"write_{write}")(*value)
        machine.run()
        told = [(event.kind, event.name) for event in machine.events if event.kind != "world switch"]
        assert told == [
            ("exit", "VMMCALL"), ("event", "signalled"), ("event", "set"), ("exit", "HLT"),
        ]  # fmt: skip


def test_nobody_is_told_of_a_vp_that_is_detached() -> None:
    with TracedMachine() as machine, SmallMachine() as untraced:
        tracer, vp = machine.hypervisor._tracer, machine.vp
        assert isinstance(tracer, VpTracer) and vp.synic.tell is not None and untraced.vp.synic.tell is None
        tracer.detach(vp)
        assert vp.synic.tell is None
        tracer.attach(vp)
