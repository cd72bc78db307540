"""How a walker of somebody else is called, and what its answer means.

Stands for: the contract between a student's page walk and its test.
Simplified: a walker is asked only for what its signature names; all else keeps the value of ``OTHERWISE``.
Next: ``minihv.testing.forgotten``

A candidate is ``walk(read_u64, root, gva, *, …)``, or with two stages
``walk(read_u64, root, second_root, gva, *, …)``. ``read_u64(address)`` gives eight bytes of physical memory
as a number; ``root`` is CR3. What follows the star may be any of the names below, in any order, none of them
compulsory.

===================  ===================================================================  ================
Name                 Says                                                                 Without it
===================  ===================================================================  ================
``write``            the access writes                                                    a read
``execute``          the access is a fetch                                                a read
``user``             it comes from ring 3                                                 ring 0
``levels``           4, or 5 with CR4.LA57                                                4
``nxe``              EFER.NXE                                                             set
``wp``               CR0.WP                                                               set
``smep``, ``smap``   CR4.SMEP, CR4.SMAP                                                   clear
``ac``               RFLAGS.AC                                                            clear
``implicit``         the processor's own access, whichever the ring: a supervisor's       an instruction's
``physical_bits``    the width of physical addresses; higher address bits are reserved    52
``second_levels``    levels of the second stage                                           4
``second_nxe``       EFER.NXE as the second stage has it                                  set
``write_u64``        ``write_u64(address, value)``, to set A and D; they are compared     not compared
===================  ===================================================================  ================

The answer is the physical address, or ``Page``; or ``Fault``, ``NotCanonical`` or, in two stages, ``Exit``.
What a walker of minihv returns is an answer too, and must then be equal in every field.
"""

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsIndex

from minihv.errors import ConfigurationError, nearest
from minihv.paging.access import AccessKind, PhysicalMemory
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.walk import Mapping, NotCanonical, PageFault
from minihv.testing.outcomes import Found
from minihv.testing.worlds import Ask, World

OTHERWISE: dict[str, Any] = {
    "write": False,
    "execute": False,
    "user": False,
    "levels": 4,
    "nxe": True,
    "wp": True,
    "smep": False,
    "smap": False,
    "ac": False,
    "implicit": False,
    "physical_bits": 52,
    "second_levels": 4,
    "second_nxe": True,
}
"""What holds in every draw for a walker that does not ask."""
NAMES = (*OTHERWISE, "write_u64")
MOST_READS = 100
"""No walk of two stages with five levels each reads more than 35 entries."""


@dataclass(frozen=True, slots=True)
class Page:
    """The walk reached a page. What is None is not compared."""

    address: int
    """Of the byte: a GPA, or an SPA in two stages."""
    page_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A page fault. What is None is not compared."""

    error_code: int
    level: int | None = None
    """Where the walk stopped: 5 = PML5 … 1 = PT. Rights are decided at the level of the page."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The second stage refused: a #NPF. What is None is not compared."""

    error_code: int
    """The low five bits of EXITINFO1."""
    gpa: int | None = None
    on_table: bool | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """The candidate came to no answer."""

    words: str


class GaveUp(BaseException):
    """Ends a candidate that asked for what no memory has, through every ``except Exception`` in it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A walker with what its signature asks for."""

    walk: Callable[..., Any]
    stages: int
    wants: frozenset[str]

    def answer(self, memory: PhysicalMemory, world: World, ask: Ask) -> Any:
        """What the candidate says, or ``Trouble``."""
        door = Door(memory)
        roots = [world.guest.root] if world.second is None else [world.guest.root, world.second.root]
        given = all_inputs(world, ask) | {"write_u64": door.write_u64}
        try:
            return self.walk(door.read_u64, *roots, ask.gva, **{name: given[name] for name in self.wants})
        except GaveUp as end:
            return Trouble(str(end))
        except Exception as error:
            return Trouble(f"raised {type(error).__name__}: {error}{line_of(error, self.walk)}")


class Door:
    """Through which a candidate reaches the memory: whole words, inside 64 bits, and not without end."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.memory = memory
        self._reads = 0

    def read_u64(self, address: SupportsIndex) -> int:
        """Eight bytes, little-endian."""
        self._reads += 1
        if self._reads > MOST_READS:
            raise GaveUp(f"read {MOST_READS} entries and did not end")
        return self.memory.read_u64(checked(address, "read"))

    def write_u64(self, address: SupportsIndex, value: SupportsIndex) -> None:
        """Eight bytes, little-endian."""
        if not 0 <= operator.index(value) < 1 << 64:
            raise GaveUp(f"wrote {hex(value)}, which is not a number of 64 bits")
        self.memory.write_u64(checked(address, "wrote"), operator.index(value))


def checked(address: SupportsIndex, verb: str) -> int:
    """The address of a word, as a plain number."""
    number = operator.index(address)
    if not 0 <= number < 1 << 64 or number % 8:
        raise GaveUp(f"{verb} eight bytes at {number:#x}, which is no address of an entry")
    return number


def line_of(error: Exception, walk: Callable[..., Any]) -> str:
    """`` (line 12)``: the last one of the candidate's own file on the way to ``error``."""
    file = getattr(getattr(walk, "__code__", None), "co_filename", None)
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return line


def all_inputs(world: World, ask: Ask) -> dict[str, Any]:
    """Every input that a candidate may name, but for ``write_u64``."""
    access, guest = ask.access, world.guest
    inputs: dict[str, Any] = {
        "write": access.kind is AccessKind.WRITE,
        "execute": access.kind is AccessKind.EXECUTE,
        "user": access.user,
        "ac": access.ac,
        "implicit": access.implicit,
    }
    inputs |= {
        name: getattr(guest, name) for name in ("levels", "nxe", "wp", "smep", "smap", "physical_bits")
    }
    if world.second is not None:
        inputs |= {"second_levels": world.second.levels, "second_nxe": world.second.nxe}
    return inputs


def candidate_of(walk: Callable[..., Any], stages: int) -> Candidate:
    """``walk`` with what it asks for.

    Raises:
        ConfigurationError: its signature does not fit, or ``stages`` is neither 1 nor 2.
    """
    if stages not in (1, 2):
        raise ConfigurationError(f"A walk has one stage or two, not {stages}: give stages=1 or stages=2.")
    first = ["read_u64", "root", "gva"] if stages == 1 else ["read_u64", "root", "second_root", "gva"]
    try:
        parameters = list(inspect.signature(walk).parameters.values())
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"A walker says by its signature what it takes, and {walk!r} has none: wrap it in a def."
        ) from None
    positional = [
        each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) < len(first):
        raise ConfigurationError(
            f"A walker of {'one stage' if stages == 1 else 'two stages'} begins with ({', '.join(first)}), "
            f"and this one takes {len(positional)} by position: give it {len(first)}."
        )
    others = [*positional[len(first) :], *(each for each in parameters if each.kind is each.KEYWORD_ONLY)]
    names = [name for name in NAMES if stages == 2 or not name.startswith("second_")]
    for each in others:
        if each.name not in names and each.default is each.empty:
            raise ConfigurationError(
                f"A walker may ask for {', '.join(names)}, and not for {each.name!r}"
                f"{nearest(each.name, names)}: give it a default, or another name."
            )
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    wants = names if takes_all else [each.name for each in others if each.name in names]
    return Candidate(walk, stages, frozenset(wants))


def agrees(answer: Any, found: Found | Page) -> bool:
    """Whether the candidate's ``answer`` says what the reference found, as far as it says anything."""
    match answer, found:
        case Page(address=address, page_bytes=size), Mapping() | NestedMapping() | Page():
            there = found.spa if isinstance(found, NestedMapping) else address_of(found)
            return address == there and size in (None, found.page_bytes)
        case Fault(error_code=error_code, level=level), PageFault():
            return error_code == found.error_code and level in (None, found.level)
        case Exit(error_code=error_code, gpa=gpa, on_table=on_table), Violation():
            told = gpa in (None, found.gpa) and on_table in (None, found.on_table)
            return error_code == found.error_code and told
    if isinstance(answer, SupportsIndex) and not isinstance(answer, bool):
        return agrees(Page(operator.index(answer)), found)
    if answer is NotCanonical:
        return isinstance(found, NotCanonical)
    return bool(answer == found)


def address_of(found: Mapping | Page) -> int:
    """Where the byte of one stage lies."""
    return found.gpa if isinstance(found, Mapping) else found.address
