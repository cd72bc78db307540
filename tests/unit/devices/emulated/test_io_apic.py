"""The I/O APIC: pins, entries, and the messages that come of them."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from minihv.devices.emulated.io_apic import Delivery, IoApic
from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.spec.io_apic import BASE_GPA, DeliveryMode


class IoApicHost:
    """An I/O APIC that is reached as a system does it."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self.bus, self.chip = MmioBus(), IoApic(lambda delivery: self.sent.append(delivery))
        self.chip.connect(self.bus)

    def put(self, register: int, value: int) -> None:
        self.bus.store(BASE_GPA, 4, register)
        self.bus.store(BASE_GPA + 0x10, 4, value)

    def get(self, register: int) -> int:
        self.bus.store(BASE_GPA, 4, register)
        return self.bus.load(BASE_GPA + 0x10, 4)

    def taken(self) -> list[int]:
        found, self.sent[:] = [one.vector for one in self.sent], []
        return found


@pytest.fixture
def host() -> IoApicHost:
    return IoApicHost()


def test_edge_is_sent_once_to_where_its_entry_says(host: IoApicHost) -> None:
    host.put(0x15, 3 << 24)
    host.put(0x14, 0x0831)
    host.chip.set_line(2, True)
    host.chip.set_line(2, True)
    assert host.sent == [Delivery(DeliveryMode.FIXED, 0x31, 3, logical=True, level=False)]
    host.chip.end_of_interrupt(0x31)
    assert len(host.sent) == 1


def test_masked_pin_sends_nothing(host: IoApicHost) -> None:
    assert host.get(0x10) == 0x1_0000 and not host.chip.waits_for(0)
    host.chip.set_line(0, True)
    host.put(0x10, 0x30)
    assert host.taken() == [] and host.chip.waits_for(0)


def test_level_is_sent_again_when_its_interrupt_has_ended(host: IoApicHost) -> None:
    host.chip.set_line(9, True)
    host.put(0x22, 0x8040)
    assert host.taken() == [0x40] and host.get(0x22) == 0xC040
    host.chip.end_of_interrupt(0x40)
    assert host.taken() == [0x40]
    host.chip.set_line(9, False)
    host.chip.end_of_interrupt(0x40)
    assert host.taken() == [] and host.get(0x22) == 0x8040


def test_entry_of_a_mode_that_is_none_sends_nothing(host: IoApicHost) -> None:
    for mode in (3, 7):
        host.put(0x10, mode << 8 | 0x30)
        host.chip.set_line(0, True)
        host.chip.set_line(0, False)
    assert host.taken() == []


def test_other_registers_say_what_the_chip_is(host: IoApicHost) -> None:
    host.put(0, 0xFFFF_FFFF)
    assert [host.get(one) for one in (0, 1, 2, 3)] == [0x0F00_0000, 0x17_0011, 0x0F00_0000, 0]
    assert host.bus.load(BASE_GPA, 4) == 3 and host.bus.load(BASE_GPA + 0x20, 4) == 0


@given(
    st.lists(st.tuples(st.integers(0, 0xFF), st.integers(0, 0xFFFF_FFFF)), max_size=40),
    st.lists(st.tuples(st.integers(0, 23), st.booleans()), max_size=40),
)
def test_any_accesses_leave_remote_irr_to_levels_alone(
    written: list[tuple[int, int]], changes: list[tuple[int, bool]]
) -> None:
    host = IoApicHost()
    for at in range(max(len(written), len(changes))):
        for register, value in written[at : at + 1]:
            host.put(register, value)
            assert 0 <= host.get(register) <= 0xFFFF_FFFF
        for pin, high in changes[at : at + 1]:
            host.chip.set_line(pin, high)
    for delivery in list(host.sent):
        event("sent")
        host.chip.end_of_interrupt(delivery.vector)
    assert all(entry.level or not entry.remote_irr for entry in host.chip.entries)
