"""A host that speaks to chips by their ports, byte by byte, and what Hypothesis makes it say."""

from hypothesis import strategies as st

from minihv.devices.emulated.port_bus import PortBus

SIZES = (1, 2, 4)


class PortHost:
    """The bus of chips that are being tested."""

    def __init__(self) -> None:
        self.bus = PortBus()

    def out(self, port: int, *values: int) -> None:
        """OUT, a byte each."""
        for value in values:
            self.bus.write(port, 1, value)

    def into(self, port: int) -> int:
        """IN of a byte."""
        return self.bus.read(port, 1)


def accesses(*ports: int) -> st.SearchStrategy[list[tuple[bool, int, int, int]]]:
    """Any reads and writes: whether it writes, the port, how many bytes, the value."""
    one = st.tuples(
        st.booleans(), st.sampled_from(ports), st.sampled_from(SIZES), st.integers(0, 0xFFFF_FFFF)
    )
    return st.lists(one, max_size=60)


def make(bus: PortBus, access: tuple[bool, int, int, int]) -> None:
    """One of ``accesses``; what is read has as many bytes as were asked for."""
    writes, port, size, value = access
    if writes:
        bus.write(port, size, value)
    else:
        assert 0 <= bus.read(port, size) < 1 << 8 * size
