"""Which chip answers a port, and that nobody is the open bus."""

from minihv.devices.emulated.port_bus import PortBus


class Echo:
    """A chip that says what it was asked."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int, int]] = []

    def read(self, register: int, byte_count: int, /) -> int:
        return 0x1_2345_6700 | register

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        self.written.append((register, byte_count, value))


def test_chip_is_asked_for_its_own_register_and_answers_as_many_bytes() -> None:
    bus, chip = PortBus(), Echo()
    bus.connect(0x1F0, 8, chip)
    assert [bus.read(0x1F3, size) for size in (1, 2, 4)] == [0x03, 0x6703, 0x2345_6703]
    bus.write(0x1F7, 1, 0x1234)
    assert chip.written == [(7, 1, 0x34)] and list(bus.ports) == list(range(0x1F0, 0x1F8))


def test_port_of_nobody_is_an_open_bus() -> None:
    bus = PortBus()
    bus.write(0x60, 1, 5)
    assert [bus.read(0x60, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFF_FFFF]


def test_later_chip_takes_the_port() -> None:
    bus, first, second = PortBus(), Echo(), Echo()
    bus.connect(0x80, 2, first)
    bus.connect(0x81, 1, second)
    bus.write(0x81, 1, 1)
    assert (first.written, second.written) == ([], [(0, 1, 1)])


def test_port_goes_back_to_the_chip_behind_one_that_leaves() -> None:
    bus, first, second = PortBus(), Echo(), Echo()
    bus.connect(0x80, 2, first)
    bus.connect(0x81, 2, second)
    bus.disconnect(second)
    bus.write(0x81, 1, 7)
    assert first.written == [(1, 1, 7)] and list(bus.ports) == [0x80, 0x81]


def test_reserved_port_is_heard_of_before_anybody_answers() -> None:
    bus = PortBus()
    bus.reserve(0xC000, 2)
    assert list(bus.ports) == [0xC000, 0xC001] and bus.read(0xC000, 1) == 0xFF
