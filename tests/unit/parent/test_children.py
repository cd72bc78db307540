"""Children: the calls that make one succeed or are refused, and its registers are those of the contract."""

from collections.abc import Iterator

import pytest
from parent_machines import CHILD_BYTES, FINISH, assembled, booted, needs_calls

from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.port_bus import PortBus
from minihv.errors import ConfigurationError
from minihv.guests.boot import boot
from minihv.parent import calls, children
from minihv.parent.children import DEPOSIT, FIRST_DEPOSIT, PORTS_OF_PC, expect, intercepts, register_values
from minihv.parent.orders import Hypercall, Result, Steps
from minihv.parent.partition import ParentPartition
from minihv.spec.ata import PRIMARY
from minihv.spec.hypercalls import CallCode, RegisterName, Status

pytestmark = needs_calls


@pytest.fixture
def parent() -> Iterator[ParentPartition]:
    with booted() as made:
        yield made


def test_success_is_handed_on() -> None:
    result = Result(0, b"out")
    assert expect(calls.create_partition(), result) is result


@pytest.mark.parametrize(
    ("status", "words"), [(Status.INVALID_PARTITION_ID, "invalid partition id"), (0x7777, "status 0x7777")]
)
def test_refusal_names_the_call_and_the_status(status: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        expect(calls.create_partition(), Result(status))
    assert str(refused.value) == (
        f"A child cannot be made or changed as asked: HvCreatePartition answers {words}."
    )


def test_registers_of_the_boot_contract_have_their_names() -> None:
    memory: dict[int, bytes] = {}
    (state,) = boot(assembled(FINISH), memory.__setitem__, memory_bytes=CHILD_BYTES, vp_count=1)
    values = dict(register_values(state))
    assert {len(value) for value in values.values()} == {16}
    assert int.from_bytes(values[RegisterName.RIP], "little") == 0x10_0000
    assert values[RegisterName.CS] == bytes(8) + b"\xff\xff\xff\xff" + b"\x08\x00" + b"\x9b\xa0"
    assert values[RegisterName.GDTR] == bytes(6) + (47).to_bytes(2, "little") + (0x2000).to_bytes(8, "little")
    assert int.from_bytes(values[RegisterName.PAT], "little") == 0x0007_0406_0007_0406


def test_vp_of_a_child_enters_as_any_guest_does(parent: ParentPartition) -> None:
    child = parent.create_child("small", CHILD_BYTES, image=assembled(FINISH), start=False)
    vp = child.partition.vps[0]
    names = ("rip", "rsp", "rdi", "cr0", "cr3", "cr4", "efer", "rflags")
    expected = (0x10_0000, 0x1_4000, 0x1000, 0x8001_0033, 0x3000, 0x620, 0xD00, 2)
    assert tuple(vp.read(name) & ~0x1000 if name == "efer" else vp.read(name) for name in names) == expected
    assert vp.read_segment("cs").attributes == 0xA09B and vp.read_segment("gdtr").limit == 47


def test_every_intercept_is_installed_for_read_and_write() -> None:
    ports = PortBus()
    IdeChannel().connect(ports, PRIMARY)
    ports.connect(0x80, 1, IdeChannel())  # which is asked for anyway
    installed = list(intercepts(7, ports))
    assert len(installed) == len(PORTS_OF_PC) + 9 + 1
    assert len(list(intercepts(7, PortBus()))) == len(PORTS_OF_PC) + 1
    assert {order.code for order in installed} == {CallCode.INSTALL_INTERCEPT}


def test_call_that_is_short_of_memory_is_made_again_with_more(parent: ParentPartition) -> None:
    asked: list[Hypercall] = []

    def drive(steps: Steps) -> int:
        """Answers as ring -1 would with a pool that is two deposits too small."""
        short, result = 2, None
        while True:
            try:
                order = steps.send(result)  # type: ignore[arg-type]
            except StopIteration as end:
                return int(end.value)
            assert isinstance(order, Hypercall)
            asked.append(order)
            needs_more = order.code == CallCode.CREATE_VP and short > 0
            short -= needs_more
            result = Result(Status.INSUFFICIENT_MEMORY if needs_more else Status.SUCCESS)

    assert drive(children.pay(parent.vid, 9, calls.create_vp(9, 0))) == 2 * DEPOSIT
    create, deposit = CallCode.CREATE_VP, CallCode.DEPOSIT_MEMORY
    assert [order.code for order in asked] == [create, deposit, create, deposit, create]
    assert parent.vid.owned_by(9) == 2 * DEPOSIT


def test_deposits_are_counted_and_come_back(parent: ParentPartition) -> None:
    before = parent.vid.free_bytes
    child = parent.create_child("small", CHILD_BYTES, 4, start=False)
    assert child.deposited >= FIRST_DEPOSIT
    assert before - parent.vid.free_bytes == CHILD_BYTES + 4096 * child.deposited
    parent.delete_child(child)
    assert parent.vid.free_bytes == before
