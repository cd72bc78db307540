"""INS and OUTS: an element goes between a chip and the memory of the guest.

Stands for: the part of a worker's instruction emulator that knows string instructions.
Spec: Intel SDM vol. 2, "INS/INSB/INSW/INSD" and "OUTS/OUTSB/OUTSW/OUTSD".
Simplified: 64-bit addresses without FS and GS; each element is an intercept of its own.
Next: ``minihv.parent.worker``

Memory is looked at first: where the guest's tables refuse it the guest gets #PF, and the chip is not touched.
"""

from minihv.devices.emulated.port_bus import PortBus
from minihv.paging.access import AccessKind
from minihv.parent.linear_memory import LinearFault, LinearMemory
from minihv.spec.hypercalls import RegisterName
from minihv.spec.intercepts import AccessType, PortMessage
from minihv.spec.x86_registers import Rflags

ADDRESSES = 1 << 64


def move_element(message: PortMessage, ports: PortBus, memory: LinearMemory) -> LinearFault | None:
    """Moves one element, or says why the guest's memory refuses it."""
    size = int(message.access.size)
    if message.header.access_type == AccessType.READ:
        places = memory.places(int(message.rdi), size, AccessKind.WRITE)
        if isinstance(places, LinearFault):
            return places
        memory.put(places, ports.read(message.port, size).to_bytes(size, "little"))
        return None
    data = memory.read(int(message.rsi), size)
    if isinstance(data, LinearFault):
        return data
    ports.write(message.port, size, int.from_bytes(data, "little"))
    return None


def registers_behind(message: PortMessage) -> dict[RegisterName, int]:
    """An index has moved, and with a prefix the count is one less."""
    size = int(message.access.size)
    step = -size if message.header.rflags & Rflags.DF else size
    is_in = message.header.access_type == AccessType.READ
    name, index = (RegisterName.RDI, message.rdi) if is_in else (RegisterName.RSI, message.rsi)
    values = {name: (int(index) + step) % ADDRESSES}
    if message.access.is_repeated:
        values[RegisterName.RCX] = int(message.rcx) - 1
    return values


def repeats(message: PortMessage) -> bool:
    """Whether the instruction has more to do after this element."""
    return bool(message.access.is_repeated) and message.rcx > 1
