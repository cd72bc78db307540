"""Act two, "A parent, and a bus without wires": one message from a child's ring to its parent and back.

Next: ``minihv.parent.partition``
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from minihv.cli.acts.act1 import yes
from minihv.cli.acts.follower import Follower, Step, Stretch, stretches
from minihv.cli.acts.pictures import memory_map, owner_rows
from minihv.cli.narrator import Narrator
from minihv.errors import InternalError
from minihv.eyes.guest import second_paging
from minihv.guests.image import Image, Segment, load_image
from minihv.guests.session import add_up
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import VirtualProcessor
from minihv.paging.access import AccessKind
from minihv.paging.nested import SecondMapping, second_walk
from minihv.parent.partition import KERNEL, ParentPartition, parent_bytes, system_bytes
from minihv.parent.session import ParentSession
from minihv.spec.hypercalls import CallCode
from minihv.spec.own_channels import ECHO_INTERFACE
from minihv.spec.synic import PostMessageInput
from minihv.spec.vmbus import MESSAGES, MessageHeader, MessageType
from minihv.terms import MIB, PAGE_BYTES, Gpa, Gva
from minihv.vmbus.channel import OpenChannel

GUEST = "20_echo"
CHILD_BYTES = 4 * MIB
MOST_BLOCKS = 2_000_000
MOST_STEPS = 100_000
LAST_WORDS = "OpenChannelResult"
SENT_AT_ONCE = 2000
"""Packets that the guest sends in its function ``echo_sink``."""
POKE_GPA = Gpa(0x10_0000)
READ_A_PORT = bytes.fromhex("e460 90 f4")
"""in al, 0x60; nop; hlt."""
POKE = Image(
    "poke",
    Gva(POKE_GPA),
    (Segment(Gva(POKE_GPA), POKE_GPA, READ_A_PORT, PAGE_BYTES, True, True, True),),
    (),
    {"poke": Gva(POKE_GPA)},
    4,
)


def play(tell: Narrator) -> None:
    """All scenes, in order."""
    tell.act("A parent, and a bus without wires")
    tell.say(
        """Act one showed one guest, and ring -1 below it. Who gives a guest its disk, its network, the right
        time? Not ring -1, which would grow with every device there is."""
    )
    for title, scene in SCENES:
        tell.scene(title)
        scene(tell)
    tell.scene("Try it yourself")
    tell.show(f"{command:<46}{what}" for command, what in TO_TRY)


@contextmanager
def machine() -> Iterator[ParentSession]:
    """A parent that has made its child, which has not run yet."""
    with ParentSession(GUEST, memory_bytes=CHILD_BYTES) as session:
        yield session


def a_parent(tell: Narrator) -> None:
    """Who made the child."""
    tell.say(
        """In Hyper-V one guest is more than the others: the *parent partition*. It boots first, owns the
        memory that is left and the devices, and makes the other guests, its *children*. It has no secret way
        to do that: it makes hypercalls, which ring -1 allows to nobody else. Here a parent has just booted,
        and has made a child of 4 MiB:"""
    )
    with machine() as session:
        hypervisor, parent = session.hypervisor, session.parent
        tell.show(owner_rows(hypervisor.memory.frames, hypervisor.partitions))
        tell.show(memory_map(hypervisor.memory.frames.owners))
        calls = add_up([parent.vp.counters]).hypercalls
        tell.say(
            f"""Partition 1 is the parent. Its child owns no frame: the {lent_pages(session):,} that it sees
            are lent by the parent. These are the hypercalls that all this took, by name:"""
        )
        tell.show(f"{count:>8,}  {name}" for name, count in sorted(calls.items(), key=lambda row: -row[1]))
    tell.say(
        """The parent's kernel is some hundred lines of C. What its devices do is Python, which it reaches
        by VMMCALL with a number that is no hypercall's: the *gate*. The way there is executed and counted,
        and the device stays readable."""
    )


def lent_pages(session: ParentSession) -> int:
    """How many pages of the child's second-level tables lead to frames of the parent."""
    memory, child = session.hypervisor.memory, session.partition
    found = (
        second_walk(memory, second_paging(child.vps[0]), page * PAGE_BYTES, AccessKind.READ)
        for page in range(child.gpa_space.ram_bytes // PAGE_BYTES)
    )
    return sum(
        isinstance(one, SecondMapping) and memory.frames.owner_of(one.spa) == session.parent.partition.id
        for one in found
    )


def a_bus(tell: Narrator) -> None:
    """The conversation before the first packet."""
    tell.say(
        """How does the child find devices? A PC has slots to look into. Here is a conversation, called
        *VMBus*. Its messages are posted by a hypercall, HvPostMessage: ring -1 puts up to 240 bytes into a
        page of the receiver and interrupts it. This is what both posted until the guest could use a device,
        one that returns what it is sent:"""
    )
    with machine() as session:
        tell.show(conversation(session))
        tell.say(
            """The parent *offers* each device by a name of 128 bits; the child opens what it has drivers for.
            Between, it lends pages of its own memory, listed in a *GPADL* (guest physical address descriptor
            list). A device of this kind never was a chip: it is *synthetic*."""
        )
        tell.show(cost_rows(session))


def conversation(session: ParentSession) -> list[str]:
    """Runs until the echo channel is open; the messages that were posted, each way."""
    session.parent.begin(session.child)
    posters = {session.partition.vps[0]: "child  -> parent", session.parent.vp: "parent -> child"}
    lines: list[str] = []
    while LAST_WORDS not in "".join(lines[-1:]) and session.hypervisor.now < MOST_BLOCKS:
        before = {vp: posts_of(vp) for vp in posters}
        session.hypervisor.run(1)
        lines += [f"{way:<18}{message_words(vp)}" for vp, way in posters.items() if posts_of(vp) > before[vp]]
    return lines


def posts_of(vp: VirtualProcessor) -> int:
    """How often ``vp`` has called HvPostMessage."""
    return int(vp.counters.hypercalls[CallCode.POST_MESSAGE])


def message_words(vp: VirtualProcessor) -> str:
    """The name of the message that ``vp`` has just posted."""
    posted = PostMessageInput(vp.partition.gpa_space.read(vp.read("rdx"), PostMessageInput.byte_count))
    kind = MESSAGES[MessageType(MessageHeader(posted.payload).type)]
    return f"{kind.words}, {posted.payload_bytes} bytes"


def echo_channel(session: ParentSession) -> OpenChannel | None:
    """The channel on the echo service, once it is open."""
    channels = session.parent.bus_of(session.child).server.channels
    return next((one.open for one in channels if one.offer.interface == ECHO_INTERFACE), None)


def at(session: ParentSession, function: str) -> int:
    """Runs until the child enters ``function``; where that returns to."""
    session.parent.begin(session.child)
    vp = session.partition.vps[0]
    if vp.read("rip") == session.image.symbols[function]:
        session.hypervisor.step(vp)
    if not session.hypervisor.run_to(vp, session.image.symbols[function], MOST_BLOCKS):
        raise InternalError(f"{GUEST} never enters {function}: please report it.")
    return int.from_bytes(session.partition.gpa_space.read(vp.read("rsp"), 8), "little")


def cost_rows(session: ParentSession) -> list[str]:
    """Exits and interrupts of both so far."""
    lines = [f"{'':<8}{'exits':>8}{'interrupts':>12}"]
    for who, vp in (("child", session.partition.vps[0]), ("parent", session.parent.vp)):
        lines.append(f"{who:<8}{sum(vp.counters.exits):>8,}{int(vp.counters.interrupts):>12,}")
    return lines


def two_rings(tell: Narrator) -> None:
    """The control pages before and after a packet."""
    tell.say(
        """An open device is a *channel*: two *ring buffers*, one for each direction, in pages that the child
        has lent. People say just ring, though it is no level of trust. It is a stretch of bytes, written
        round and round, and in front of it is a page of control words. Who writes moves the *write index*,
        who reads the *read index*; where both are equal the ring is empty. Nobody locks anything, since each
        index has one writer."""
    )
    with machine() as session:
        at(session, "echo_round_trip")
        tell.say("The channel is open, and nothing was sent yet:")
        tell.show(ring_rows(session))
        tell.say("The child writes its first packet, 8 bytes that ask for an echo, and publishes it:")
        published = first_publication(session)
        tell.show([str(published.instruction), "", *ring_rows(session)])
    tell.say(
        """That instruction is a plain store to memory, and no exit. From the next one on, any processor that
        looks finds the packet: 16 bytes of head, the 8, and 8 that close it. But does anybody look?"""
    )


def ring_rows(session: ParentSession) -> list[str]:
    """What the control pages of the echo channel say."""
    channel = echo_channel(session)
    assert channel is not None
    lines = [f"{'ring':<12}{'write index':>14}{'read index':>14}{'bytes inside':>14}  wants signals"]
    names = ("to parent", "to child")
    for name, control, fill in zip(names, channel.controls, channel.fill, strict=True):
        asks = yes(not control.interrupt_mask)
        lines.append(
            f"{name:<12}{control.write_index:>14}{control.read_index:>14}{fill.used_bytes:>14}  {asks}"
        )
    return lines


def write_index(session: ParentSession) -> int:
    """How far the child has written, for all to see."""
    channel = echo_channel(session)
    return 0 if channel is None else channel.controls[0].write_index


def first_publication(session: ParentSession) -> Step:
    """Steps until the write index of the ring to the parent moves; the instruction that moved it."""
    before = write_index(session)
    for step in follower(session).steps(MOST_STEPS):
        if write_index(session) != before:
            return step
    raise InternalError(f"{GUEST} publishes nothing: please report it.")


def follower(session: ParentSession) -> Follower:
    """Follows the child and its parent."""
    return Follower(
        session.hypervisor,
        {
            session.partition.vps[0]: ("child", session.image),
            session.parent.vp: ("parent", load_image(KERNEL)),
        },
    )


def one_message(tell: Narrator) -> None:
    """The whole round trip, by stretches."""
    tell.say(
        """Follow one packet through the whole machine. The child has done this once, so that nothing is new,
        and now sends its second packet and waits for the answer. Every instruction of both partitions is
        executed and written down; here they are by function, and each part ends where ring -1 had to act:"""
    )
    with machine() as session:
        at(session, "echo_round_trip")
        behind = at(session, "echo_round_trip")
        parts = stretches(until(follower(session), session.partition.vps[0], behind))
    for number, part in enumerate(parts, 1):
        tell.show(stretch_rows(number, part))
        if number in MEANINGS:
            tell.say(MEANINGS[number])
    tell.say("Together:")
    tell.show(sum_rows(parts))
    tell.say(
        """No byte of the packet went through ring -1. It carried two signals, each one bit in a page of the
        receiver, and put to sleep and woke up whoever had nothing to do."""
    )


MEANINGS = {
    1: """The packet is in the ring. That was empty before, so the parent may be asleep and has to be told:
        HvSignalEvent sets an *event flag*, one bit in a page of the parent's, and interrupts it.""",
    2: """The child found no answer, asked for a signal by clearing the mask in its control page, looked once
        more, since the answer might have come between, and only then slept.""",
    3: """The interrupt went straight through the parent's IDT, and is no exit. Its handler only notes that
        something waits; the kernel looks which flags are set, and asks the gate. Behind the gate the echo
        device reads the packet and writes the answer into the other ring.""",
    4: "The same signal the other way, since the child sleeps.",
    5: "The kernel looks whether anything else waits, and sleeps.",
    6: """The child looks which of its channels was meant, takes the packet out of the ring, copied once and
        checked, and finds that it is what it sent.""",
}


def until(follows: Follower, vp: VirtualProcessor, rip: int) -> Iterator[Step]:
    """The steps of a machine until ``vp`` is about to execute the instruction at ``rip``."""
    for step in follows.steps(MOST_STEPS):
        yield step
        if vp.state is VpState.READY and vp.read("rip") == rip:
            return


def stretch_rows(number: int, part: Stretch) -> list[str]:
    """One stretch, with its functions side by side."""
    start = f", begins with {part.begins}" if part.begins else ""
    end = f", ends with {part.ends}" if part.ends else ""
    cells = [f"{count:>5}  {name}" for name, count in part.functions.items()]
    half = -(-len(cells) // 2)
    columns = [f"{left:<36}{right}".rstrip() for left, right in pairs(cells, half)]
    word = "instruction" if part.instructions == 1 else "instructions"
    return [f"{number}. {part.who}: {part.instructions:,} {word}", f"   {(start + end)[2:]}", *columns]


def pairs(cells: list[str], half: int) -> Iterator[tuple[str, str]]:
    """The cells in two columns."""
    for row in range(half):
        yield cells[row], cells[half + row] if half + row < len(cells) else ""


def sum_rows(parts: Iterable[Stretch]) -> list[str]:
    """Instructions, exits, interrupts and changes between ring 0 and ring 3, of each partition."""
    every = list(parts)
    lines = [f"{'':<10}{'instructions':>14}{'exits':>8}{'interrupts':>12}{'ring 0 <-> 3':>14}"]
    for who in ("child", "parent"):
        mine = [part for part in every if part.who == who]
        counts = (
            sum(part.instructions for part in mine),
            sum(bool(part.ends) for part in mine),
            sum(bool(part.begins) for part in mine),
            sum(part.ring_changes for part in mine),
        )
        lines.append(f"{who:<10}{counts[0]:>14,}{counts[1]:>8}{counts[2]:>12}{counts[3]:>14}")
    return lines


def one_port(tell: Narrator) -> None:
    """The same trip for a guest that knows nothing: an intercept message and a worker."""
    tell.say(
        """And a child that has never heard of VMBus? It pokes at the chips that it believes in. This one
        reads a byte from port 0x60, where a PC has its keyboard. The parent asked ring -1 to intercept that:
        the VP is suspended, and the parent gets a message with all that happened."""
    )
    with Hypervisor(system_bytes(CHILD_BYTES)) as hypervisor:
        parent = ParentPartition(hypervisor, parent_bytes(CHILD_BYTES))
        child = parent.create_child("poke", CHILD_BYTES, image=POKE, start=False)
        parent.begin(child)
        while parent.vp.state is VpState.READY:  # it starts the child, and goes to sleep
            hypervisor.step(parent.vp)
        vp = child.partition.vps[0]
        named = {vp: ("child", POKE), parent.vp: ("parent", load_image(KERNEL))}
        parts = stretches(until(Follower(hypervisor, named), vp, POKE_GPA + len(READ_A_PORT) - 1))
    for number, part in enumerate(parts, 1):
        tell.show(stretch_rows(number, part))
        if number in MEANINGS_OF_POKE:
            tell.say(MEANINGS_OF_POKE[number])
    tell.say("Together, for one byte:")
    tell.show(sum_rows(parts))
    tell.say(
        """That is *emulation* of a device: so much at every touch of every register. A synthetic device moves
        what it likes in a ring, and pays for a signal."""
    )


MEANINGS_OF_POKE = {
    2: """The kernel does not know what a keyboard is. It hands the message to the child's *worker process*,
        which runs in ring 3 with page tables of its own: if a chip's model goes wrong, it dies alone.""",
    3: """The worker asked the gate, which knows the chips (here the keyboard controller, where no key was
        pressed). It answers its kernel by SYSCALL, and the kernel gives the VP its registers.""",
}


def many_messages(tell: Narrator) -> None:
    """What a packet costs in a crowd."""
    tell.say(
        f"""A signal is needed only when a ring was empty, or was full. The same child now sends
        {SENT_AT_ONCE:,} packets, and publishes them by the dozen:"""
    )
    with machine() as session:
        vp, parent = session.partition.vps[0], session.parent.vp
        at(session, "echo_sink")
        before = [(sum(one.counters.exits), signals_of(one)) for one in (vp, parent)]
        at(session, "echo_totals")
        after = [(sum(one.counters.exits), signals_of(one)) for one in (vp, parent)]
    lines = [f"{'':<10}{'exits':>8}{'of them signals':>18}{'exits for a packet':>21}"]
    for who, (exits, signals), (exits_now, signals_now) in zip(
        ("child", "parent"), before, after, strict=True
    ):
        each = (exits_now - exits) / SENT_AT_ONCE
        lines.append(f"{who:<10}{exits_now - exits:>8,}{signals_now - signals:>18,}{each:>21.3f}")
    tell.show(lines)
    tell.say("Both rules are in minihv/vmbus/ring.py, with the order in which each word is read and written.")


def signals_of(vp: VirtualProcessor) -> int:
    """How often ``vp`` has called HvSignalEvent."""
    return int(vp.counters.hypercalls[CallCode.SIGNAL_EVENT])


SCENES: tuple[tuple[str, Callable[[Narrator], None]], ...] = (
    ("A parent partition", a_parent),
    ("A bus without wires", a_bus),
    ("Two rings", two_rings),
    ("One message, there and back", one_message),
    ("One port, there and back", one_port),
    ("Many messages, few signals", many_messages),
)

TO_TRY = (
    ("minihv run 20_echo", "both partitions, counted"),
    ("minihv run 19_hello_vmbus", "a text channel"),
    ("minihv run 21_integration --shutdown-after 7", "the parent asks it to end"),
    ("minihv run 22_hostile", "a child that lies"),
    ("minihv run 20_echo --no-parent", "nobody is there"),
    ("minihv top 20_echo --once", "its channels and rings"),
)
