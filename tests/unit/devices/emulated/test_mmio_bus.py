"""Which chip answers memory, and that nobody is the open bus."""

from minihv.devices.emulated.mmio_bus import MmioBus


class Echo:
    """A chip that says what it was asked."""

    def __init__(self) -> None:
        self.stored: list[tuple[int, int, int]] = []

    def load(self, offset: int, byte_count: int, /) -> int:
        return 0x1234_5600 | offset

    def store(self, offset: int, byte_count: int, value: int, /) -> None:
        self.stored.append((offset, byte_count, value))


def test_chip_is_asked_by_offset_and_answers_as_many_bytes() -> None:
    bus, chip = MmioBus(), Echo()
    bus.connect(0xB8000, 0x100, chip)
    assert [bus.load(0xB8003, size) for size in (1, 2, 4)] == [0x03, 0x5603, 0x1234_5603]
    bus.store(0xB80FF, 1, 0x1234)
    assert chip.stored == [(0xFF, 1, 0x34)]


def test_memory_of_nobody_is_an_open_bus_and_a_later_chip_wins() -> None:
    bus, first, second = MmioBus(), Echo(), Echo()
    bus.store(0x1000, 4, 1)
    assert bus.load(0x1000, 4) == 0xFFFF_FFFF and not bus.answers(0x1000)
    bus.connect(0x1000, 0x10, first)
    bus.connect(0x1008, 0x08, second)
    bus.store(0x1008, 4, 7)
    assert (first.stored, second.stored) == ([], [(0, 4, 7)]) and bus.answers(0x100F)
