"""A port bus that notes every access, and the accesses between commands."""

from itertools import pairwise

from minihv.devices.emulated.port_bus import PortBus
from minihv.parent.session import ParentSession
from minihv.spec.ata import PRIMARY, Register


class ListeningBus(PortBus):
    """Notes who was asked for what: ports, and what was written; 0 for a read."""

    @property
    def heard(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = self.__dict__.setdefault("_heard", [])
        return found

    def read(self, port: int, byte_count: int) -> int:
        self.heard.append((port, 0))
        return super().read(port, byte_count)

    def write(self, port: int, byte_count: int, value: int) -> None:
        self.heard.append((port, value))
        super().write(port, byte_count, value)


def accesses_per_command(session: ParentSession) -> list[tuple[int, int]]:
    """Runs the guest; each command of the first channel with the accesses from it to the next one."""
    bus = session.disks.ports
    bus.__class__ = ListeningBus
    assert isinstance(bus, ListeningBus)
    assert session.run().exit_status == 0
    commands = [at for at, (port, _) in enumerate(bus.heard) if port == PRIMARY[0] + Register.COMMAND]
    written = [at for at in commands if bus.heard[at][1]]
    return [(bus.heard[at][1], behind - at) for at, behind in pairwise(written)]
