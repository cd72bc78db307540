"""Act one, "What ring -1 sees": from the first frame of a machine to three walkers that agree.

Next: ``minihv.hypervisor.hypervisor``
"""

from collections.abc import Callable, Iterator

from minihv.cli.acts.pictures import (
    exit_rows,
    instruction_at,
    intercept_names,
    memory_map,
    owner_name,
    owner_rows,
    reference_rows,
    walk_grid,
)
from minihv.cli.acts.small_guest import CODE_GVA, DATA_GVA, SmallGuest
from minihv.cli.narrator import Narrator
from minihv.eyes.guest import guest_paging, second_paging
from minihv.guests.session import Counters, GuestSession, Report
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.processor import Core, PagingMode
from minihv.paging.access import Access, AccessKind, Reference
from minihv.paging.nested import SecondMapping, nested_walk, second_walk
from minihv.spec.hypercalls import HypercallInput, Status
from minihv.spec.x86_exceptions import Vector
from minihv.terms import MIB, PAGE_BYTES, Gva

FEW_INSTRUCTIONS = 6
MOST_STEPS = 200_000
LEAF_VENDOR = 0x4000_0000
SMALL_MEMORY = 4 * MIB
READ_TWICE_AND_FORGET = bytes.fromhex("488b03 488b03 0f20d9 0f22d9 488b03 f4")
"""mov rax, [rbx]; the same; mov rcx, cr3; mov cr3, rcx; mov rax, [rbx]; hlt."""
READ_TWO_PLACES = bytes.fromhex("488b03 488b06 f4")
"""mov rax, [rbx]; mov rax, [rsi]; hlt."""


def play(tell: Narrator) -> None:
    """All scenes, in order."""
    tell.act("What ring -1 sees")
    tell.say(
        """Behind the bars stands what machines answer that are made and run right now. Their processor is
        emulated, but what it executes is real machine code, and every number was counted as it ran."""
    )
    for title, scene in SCENES:
        tell.scene(title)
        scene(tell)
    tell.scene("Try it yourself")
    tell.show(f"{command:<46}{what}" for command, what in TO_TRY)


def a_machine(tell: Narrator) -> None:
    """Who owns which frame."""
    tell.say(
        """A processor runs code at levels of trust called *rings*: programs in ring 3, the kernel of an
        operating system in ring 0. A *hypervisor* lets several operating systems share one computer, so it
        needs a place below them all. Processors with AMD-V or Intel VT have one; people call it *ring -1*."""
    )
    tell.say(
        """Here is a machine with minihv in its ring -1. Memory is handed out in *frames* of 4 KiB, and each
        has one owner: the hypervisor, or a *partition*, the share of the machine in which one *guest* runs. A
        guest is a program that takes its partition for a whole computer. This one is called 01_hello."""
    )
    with GuestSession("01_hello", memory_bytes=SMALL_MEMORY) as session:
        frames = session.hypervisor.memory.frames
        tell.show(owner_rows(frames, session.hypervisor.partitions))
        tell.show(memory_map(frames.owners))
    tell.say("H is the hypervisor's, a digit a partition's, a dot is free.")


def first_instructions(tell: Narrator) -> None:
    """VMRUN, and then one instruction at a time."""
    tell.say(
        """What the guest takes for its processor is a *virtual processor*, or VP. While it does not run it is
        a page of numbers in a frame of the hypervisor's, the *VMCB* (virtual machine control block). The
        instruction *VMRUN* makes the real processor load them and go on as the guest."""
    )
    tell.say(
        """The VMCB also lists the *intercepts*: what the guest may not do without ring -1. Of the guest's
        registers, RIP leads to the next instruction and RSP to the stack; CR3 has its scene later."""
    )
    with GuestSession("01_hello", memory_bytes=SMALL_MEMORY) as session:
        vp = session.partition.vps[0]
        owner = session.hypervisor.memory.frames.owner_of(vp.vmcb_spa)
        tell.show(
            [
                f"VMCB        at {vp.vmcb_spa:#x}, a frame of {owner_name(owner)}",
                f"intercepts  {' '.join(intercept_names(vp.control))}",
                f"registers   RIP {vp.read('rip'):#x}   RSP {vp.read('rsp'):#x}   CR3 {vp.read('cr3'):#x}",
            ]
        )
        tell.say("Now the guest runs, and stops behind every instruction:")
        before = vp.counters.world_switches
        tell.show(str(line) for line in stepped(session, FEW_INSTRUCTIONS))
        tell.say(f"VMRUN was executed {times(vp.counters.world_switches - before)} for this.")


def stepped(session: GuestSession, count: int) -> Iterator[object]:
    """Executes ``count`` instructions, and yields each."""
    vp = session.partition.vps[0]
    for _ in range(count):
        instruction = instruction_at(session.hypervisor, vp)
        session.hypervisor.step(vp)
        yield instruction


def first_exit(tell: Narrator) -> None:
    """OUT, decoded; then the whole run, counted."""
    tell.say(
        """To print, this guest sends a character to an *I/O port*, a numbered door to a device, by the
        instruction OUT. Ports are intercepted. So the processor does not execute it: it stores the guest,
        notes in the VMCB why, and goes on in ring -1. That is an *exit*, or #VMEXIT."""
    )
    with GuestSession("01_hello", memory_bytes=SMALL_MEMORY) as session:
        vp = session.partition.vps[0]
        at, taken = "", 0
        while not exits_of(vp) and taken < MOST_STEPS:
            at = str(instruction_at(session.hypervisor, vp))
            session.hypervisor.step(vp)
            taken += 1
        tell.show([f"instruction {taken}: {at}", *exit_rows(vp.control)])
        tell.say("Ring -1 found the code in its exit table, and what stands there did this to the console:")
        tell.show([repr(session.partition.console.decode())])
        tell.say("The guest goes on behind the OUT. The rest of its run, in one piece:")
        report = session.run()
    tell.show([*report.console.splitlines(), "", *exit_counts(report.counters)])
    tell.say(
        f"""IOIO is the name of exits by a port: {report.counters.exits["IOIO"]:,} of them, for a text of
        {len(report.console):,} characters. HLT is the instruction that says there is nothing more to do."""
    )


def who_is_there(tell: Narrator) -> None:
    """CPUID and hypercalls of a guest that knows where it is."""
    tell.say(
        """A guest need not know any of this. But it may ask: the instruction *CPUID* answers questions about
        the processor, by number, and ring -1 chooses the answers. Number 0x40000000 asks for the name of the
        hypervisor; Windows and Linux do that when they start."""
    )
    with GuestSession("02_discovery", memory_bytes=SMALL_MEMORY) as session:
        asked, calls = conversation(session)
    tell.show(asked)
    tell.say(
        """A guest that knows the name may call ring -1 as a program calls its kernel. That is a *hypercall*:
        a number in RCX, the instruction VMMCALL, which exits, and a *status* in RAX. These are the calls that
        the guest made, wrong ones too, because it tests its hypervisor:"""
    )
    tell.show([f"{'RCX':>16}  {'call':<22}status", *calls])


def conversation(session: GuestSession) -> tuple[list[str], list[str]]:
    """Runs a guest by steps. The answers to CPUID's leaf of the vendor, and the hypercalls with statuses."""
    vp, hypervisor = session.partition.vps[0], session.hypervisor
    asked: list[str] = []
    calls: list[str] = []
    for _ in range(MOST_STEPS):
        if vp.state is not VpState.READY or session.partition.has_stopped:
            break
        found = hypervisor.translate(vp, Gva(vp.read("rip")), AccessKind.EXECUTE)
        code = hypervisor.memory.read(found.spa, 3) if not found.outcome else b""
        leaf, rcx, before = vp.read("rax") & 0xFFFF_FFFF, vp.read("rcx"), exits_of(vp)
        hypervisor.step(vp)
        if exits_of(vp) == before:
            continue
        if code[:2] == b"\x0f\xa2" and leaf == LEAF_VENDOR and not asked:
            asked = vendor_rows(vp)
        elif code == b"\x0f\x01\xd9":
            calls.append(call_row(rcx, vp.read("rax")))
    return asked, calls


def vendor_rows(vp: VirtualProcessor) -> list[str]:
    """What CPUID left in the registers, and the text in it."""
    values = [vp.read(name) & 0xFFFF_FFFF for name in ("rbx", "rcx", "rdx")]
    text = b"".join(value.to_bytes(4, "little") for value in values).decode("ascii", "replace")
    registers = "  ".join(f"{name} {value:#x}" for name, value in zip("BCD", values, strict=True))
    registers = registers.replace("B ", "EBX ").replace("C ", "ECX ").replace("D ", "EDX ")
    return [f"CPUID {LEAF_VENDOR:#x}  ->  {registers}", f'which is the text "{text}"']


def call_row(rcx: int, rax: int) -> str:
    """One hypercall: its input value, its name, its status."""
    status = Status(rax & 0xFFFF).name
    return f"{rcx:>#16x}  {call_name(HypercallInput(rcx).call_code):<22}{rax & 0xFFFF:#x} {status}"


def one_address(tell: Narrator) -> None:
    """The two-stage walk of an instruction fetch, and what the TLB saves."""
    tell.say(
        """An address in an instruction is a *guest virtual address*, GVA. CR3 leads to the guest's
        *page tables*, a tree in memory, and they lead from the GVA to a *guest physical address*, GPA. But
        the guest's memory is only a share of the machine's: second tables, the hypervisor's, lead from every
        GPA to a *system physical address*, SPA. Following both is a *two-stage walk*, and the feature is
        called *SLAT*, second level address translation."""
    )
    tell.say(
        """The guest's tables lie in its own memory, at GPAs. So each of them has to be translated before it
        can be read. This is what it takes to fetch one instruction. Each number is one entry that was read;
        the four columns are the levels of the second tables, PML4 on top and PT at the bottom, and each row
        ends with one of the guest's:"""
    )
    with SmallGuest(READ_TWICE_AND_FORGET) as guest:
        seen: list[Reference] = []
        memory, vp = guest.hypervisor.memory, guest.vp
        nested_walk(
            memory, guest_paging(vp), second_paging(vp), CODE_GVA, Access(AccessKind.EXECUTE), seen.append
        )
        tell.show([f"RIP = GVA {vp.read('rip'):#x}", "", *walk_grid(seen)])
        tell.show(reference_rows(seen))
        tell.say(
            f"""{len(seen)} references to memory for one address. No processor does that twice if it can help
            it: the *TLB*, translation lookaside buffer, keeps results. Here the processor executes the guest,
            and counts walks and references itself:"""
        )
        tell.show(walked(guest))
    tell.say(
        """The first line pays for the instruction and for its operand; the second finds both in the TLB.
        Writing CR3 says that the tables are others now. So the processor forgets, and pays again: for the
        instruction behind, and then for its operand."""
    )


def walked(guest: SmallGuest) -> list[str]:
    """Runs the guest by steps; what each instruction cost in walks."""
    vp = guest.vp
    lines = [f"{'walks':>5}{'references':>12}  instruction"]
    while vp.state is VpState.READY:
        instruction = instruction_at(guest.hypervisor, vp)
        fills, references = vp.counters.tlb_fills, vp.counters.walk_references
        guest.hypervisor.step(vp)
        fills, references = vp.counters.tlb_fills - fills, vp.counters.walk_references - references
        lines.append(f"{fills:>5}{references:>12}  {instruction.rip:#x}  {instruction.text}")
    return lines


def no_exits(tell: Narrator) -> None:
    """Exceptions stay in the guest."""
    tell.say(
        """Who handles a guest's mistakes? An *exception* is the processor's own interrupt: division by zero
        is #DE, a page that is not there #PF, a broken rule #GP. A guest has a table of handlers for them,
        the *IDT* (interrupt descriptor table). The guest 03_exceptions raises all it can, on purpose. These
        went through its IDT:"""
    )
    with GuestSession("03_exceptions", memory_bytes=SMALL_MEMORY) as session:
        report = session.run()
    delivered = report.counters.exceptions
    tell.show(
        [
            *columns(f"#{Vector(int(vector)).name} {count}" for vector, count in delivered.items()),
            f"together {sum(delivered.values())}",
        ]
    )
    caused = sum(count for name, count in report.counters.exits.items() if name.startswith("EXCP"))
    tell.say("And its exits:")
    tell.show([*exit_counts(report.counters), f"exits by an exception: {caused}"])
    tell.say(
        f"""Ring -1 saw none of them: what it saw is the {len(report.console)} characters that the guest
        printed, and the end. The guest's kernel runs at full right in ring 0, which is why an operating
        system needs no change to be a guest."""
        if caused == 0
        else "So ring -1 was asked."
    )


def isolation(tell: Narrator) -> None:
    """A guest names addresses that are not its own."""
    tell.say(
        """The guest writes its own page tables, so it can put any number into them. What if it names the
        addresses of the hypervisor? Two pages: one with the address of the map of intercepted ports, one with
        that of its own VMCB."""
    )
    with SmallGuest(READ_TWO_PLACES) as guest:
        vp, hypervisor = guest.vp, guest.hypervisor
        ports, vmcb = int(vp.control.iopm_base_pa), int(vp.vmcb_spa)
        for register, gva, target in (("rbx", DATA_GVA + 0x10000, ports), ("rsi", DATA_GVA + 0x20000, vmcb)):
            guest.maps(gva, target)
            vp.write(register, gva)
        held = hypervisor.memory.read_u64(ports)
        hypervisor.step(vp)
        tell.show(
            [
                f"the port map at SPA {ports:#x} holds    {held:#x}",
                f"the guest reads GPA {ports:#x} and gets  {vp.read('rax'):#x}",
            ]
        )
        tell.say(
            """To the guest it is a GPA: the second tables lead it to a frame of its own. The second page:"""
        )
        hypervisor.step(vp)
        tell.show([f"the VMCB is at SPA {vmcb:#x}", *exit_rows(vp.control), f"the VP is {vp.state.value}"])
        tell.say(
            """An *NPF*, nested page fault: the second tables have nothing there. It is an exit, a value that
            ring -1 looks at. Could any GPA lead elsewhere? Ask for each page of the partition, and as many
            behind its end:"""
        )
        tell.show(reach(guest))


def reach(guest: SmallGuest) -> list[str]:
    """Whose frames the second tables lead to, for every page of the partition and as many behind it."""
    memory, pages = guest.hypervisor.memory, 2 * guest.partition.gpa_space.ram_bytes // PAGE_BYTES
    counts: dict[str, int] = {}
    for page in range(pages):
        found = second_walk(memory, second_paging(guest.vp), page * PAGE_BYTES, AccessKind.READ)
        name = "nothing"
        if isinstance(found, SecondMapping):
            name = f"a frame of {owner_name(memory.frames.owner_of(found.spa))}"
        counts[name] = counts.get(name, 0) + 1
    return [f"{count:>6} pages lead to {name}" for name, count in counts.items()]


def three_walkers(tell: Narrator) -> None:
    """The same guest under each kind of translation."""
    tell.say(
        """The walk you saw is a Python function, minihv/paging/walk.py. Normally a twin in C serves the
        processor's misses. The Python can, too; and the emulated processor has a page walker of its own in
        its silicon. The same guest, 02_discovery, on all three:"""
    )
    ways = (
        ("C walk", PagingMode.SLAT, Core.NATIVE),
        ("Python walk", PagingMode.SLAT, Core.REFERENCE),
        ("silicon", PagingMode.HARDWARE, Core.NATIVE),
    )
    reports = [report_of("02_discovery", paging, core) for _, paging, core in ways]
    lines = [f"{'':<18}" + "".join(f"{name:>14}" for name, _, _ in ways)]
    for name in reports[0].counters.exits:
        counts = "".join(f"{report.counters.exits.get(name, 0):>14,}" for report in reports)
        lines.append(f"{f'exits {name}':<18}{counts}")
    references = (f"{report.counters.walk_references or '-':>14}" for report in reports)
    lines.append(f"{'references':<18}" + "".join(references))
    tell.show(lines)
    same_exits = all(report.counters.exits == reports[0].counters.exits for report in reports)
    same_console = all(report.console == reports[0].console for report in reports)
    tell.show([f"exits are the same: {yes(same_exits)}", f"consoles are the same: {yes(same_console)}"])
    tell.say("Silicon does not tell how many references it makes.")


def report_of(guest: str, paging: PagingMode, core: Core) -> Report:
    """A whole run."""
    with GuestSession(guest, memory_bytes=SMALL_MEMORY, paging=paging, core=core) as session:
        return session.run()


def exits_of(vp: VirtualProcessor) -> int:
    """How often ``vp`` has left."""
    return sum(vp.counters.exits)


def exit_counts(counters: Counters) -> list[str]:
    """Exits by name."""
    ordered = sorted(counters.exits.items(), key=lambda row: -row[1])
    return [f"{count:>8,}  {name}" for name, count in ordered]


def columns(cells: Iterator[str]) -> list[str]:
    """Short texts, several to a line."""
    every = list(cells)
    return ["".join(f"{cell:<10}" for cell in every[at : at + 7]).rstrip() for at in range(0, len(every), 7)]


def times(count: int) -> str:
    """A count as a word."""
    return "once" if count == 1 else f"{count} times"


def yes(fact: bool) -> str:
    """A fact as a word."""
    return "yes" if fact else "no"


SCENES: tuple[tuple[str, Callable[[Narrator], None]], ...] = (
    ("A machine, and who owns its memory", a_machine),
    ("The first instructions", first_instructions),
    ("The first exit", first_exit),
    ("Who is there?", who_is_there),
    ("One address, many references", one_address),
    ("What ring -1 does not see", no_exits),
    ("Isolation", isolation),
    ("Three walkers", three_walkers),
)

TO_TRY = (
    ("minihv guests", "what else can run"),
    ("minihv run 04_rings", "ring 3 and back"),
    ("minihv run 05_page_tables --paging hardware", "tables walked by silicon"),
    ("minihv map 5", "what it has mapped where"),
    ("minihv walk 5 0xffff800000000000", "a page walk, by reference"),
    ("minihv run 07_spin_lock --vps 4 --lps 2", "four VPs take turns"),
    ("minihv run 02_discovery --trace run.json", "open it at ui.perfetto.dev"),
    ("MINIHV_CORE=reference minihv run 01_hello", "on the Python walk"),
    ("minihv doctor", "if something does not work"),
)
