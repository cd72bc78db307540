"""The service gate: who may call it, from where, and what everybody else gets."""

import pytest
from machines import CODE, SmallMachine

from minihv.errors import InternalError
from minihv.parent.gate import MAGIC, MOST_BYTES, REFUSED, Gate, GateCall, GateCode
from minihv.spec.x86_exceptions import Vector
from minihv.terms import Gpa

ARGUMENT = 0x10_8000


def asking(code: int, gpa: int = ARGUMENT, byte_count: int = 8) -> str:
    return f"mov rcx, {MAGIC | code:#x}; mov rdx, {gpa:#x}; mov r8, {byte_count:#x}; vmmcall; mov rbx, 1; hlt"


def machine_with_gate(code: str, ring: int = 0) -> tuple[SmallMachine, list[bytes]]:
    """A machine whose partition has a gate that answers LOG and HELLO by 42, and what was said to it."""
    heard: list[bytes] = []

    def service(call: GateCall) -> int:
        heard.append(call.read())
        return 42

    machine = SmallMachine(code, ring=ring)
    gate = Gate()
    gate.serve(GateCode.LOG, service)
    gate.serve(GateCode.HELLO, service)
    machine.partition.service_gate = gate
    machine.write(ARGUMENT, 0x1122_3344_5566_7788)
    return machine, heard


@pytest.mark.parametrize("ring", [0, 3])
def test_service_answers_either_ring_of_the_partition_that_has_the_gate(ring: int) -> None:
    machine, heard = machine_with_gate(asking(GateCode.LOG), ring)
    with machine:
        machine.run()
        assert machine.vp.read("rax") == 42 and machine.vp.read("rbx") == 1
        assert heard == [bytes.fromhex("8877665544332211")]


def test_gate_needs_no_hypercall_page_and_is_no_hypercall() -> None:
    machine, heard = machine_with_gate(asking(GateCode.LOG))
    with machine:
        machine.run()
        assert len(heard) == 1 and sum(machine.vp.counters.hypercalls) == 0


def test_call_of_ring_0_alone_is_refused_to_ring_3() -> None:
    machine, heard = machine_with_gate(asking(GateCode.HELLO), ring=3)
    with machine:
        machine.run()
        assert machine.vp.read("rax") == REFUSED and heard == []


@pytest.mark.parametrize(
    ("code", "gpa", "byte_count"),
    [
        (GateCode.TICK, ARGUMENT, 8),
        (0xFFFF, ARGUMENT, 8),
        (GateCode.LOG, 0x20_0000, 1),
        (GateCode.LOG, 0x1F_FFF8, 16),
        (GateCode.LOG, (1 << 64) - 8, 16),
        (GateCode.LOG, 0, MOST_BYTES + 1),
    ],
)
def test_what_nobody_serves_and_what_is_no_ram_is_refused(code: int, gpa: int, byte_count: int) -> None:
    machine, heard = machine_with_gate(asking(code, gpa, byte_count))
    with machine:
        machine.run()
        assert machine.vp.read("rax") == REFUSED and machine.vp.read("rbx") == 1 and heard == []


def test_argument_without_bytes_may_lie_anywhere() -> None:
    machine, heard = machine_with_gate(asking(GateCode.LOG, 1 << 50, 0))
    with machine:
        machine.run()
        assert machine.vp.read("rax") == 42 and heard == [b""]


def test_hypercall_of_the_partition_with_the_gate_stays_one() -> None:
    machine, _ = machine_with_gate("mov rcx, 0x10008; call 0x103000; mov rbx, 1; hlt")
    with machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        machine.run()
        assert machine.vp.read("rax") == 0 and machine.vp.read("rbx") == 1


def test_partition_without_a_gate_gets_invalid_input_from_ring_0() -> None:
    with SmallMachine(asking(GateCode.LOG)) as machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        machine.run()
        assert machine.vp.read("rax") == 2 and machine.vp.read("rbx") == 1


@pytest.mark.parametrize("ring", [0, 3])
def test_partition_without_a_gate_and_without_a_hypercall_page_gets_an_undefined_instruction(
    ring: int,
) -> None:
    with SmallMachine("nop; " + asking(GateCode.LOG), ring=ring) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip > CODE


def test_calls_are_counted_by_code() -> None:
    machine, _ = machine_with_gate(asking(GateCode.LOG))
    with machine:
        machine.run()
        gate = machine.partition.service_gate
        assert isinstance(gate, Gate)
        assert {code: count for code, count in gate.calls.items() if count} == {GateCode.LOG: 1}


def test_service_that_raises_is_a_bug_that_is_named() -> None:
    def broken(_call: GateCall) -> int:
        raise ValueError("broken")

    machine, _ = machine_with_gate(asking(GateCode.TICK))
    with machine:
        gate = machine.partition.service_gate
        assert isinstance(gate, Gate)
        gate.serve(GateCode.TICK, broken)
        with pytest.raises(InternalError) as raised:
            machine.run()
    assert str(raised.value) == (
        "The service TICK of the parent partition failed (ValueError('broken')): "
        "please report the guest that did this."
    )


def test_internal_error_of_a_service_is_not_wrapped_again() -> None:
    def broken(_call: GateCall) -> int:
        raise InternalError("It was already said.")

    machine, _ = machine_with_gate(asking(GateCode.TICK))
    with machine:
        gate = machine.partition.service_gate
        assert isinstance(gate, Gate)
        gate.serve(GateCode.TICK, broken)
        with pytest.raises(InternalError) as raised:
            machine.run()
    assert str(raised.value) == "It was already said."
