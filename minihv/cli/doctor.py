"""``minihv doctor``: what is installed, what works, what is missing, and how to get it.

It imports nothing at the top that could be what is missing: each look is a function that may fail.

Next: ``minihv.cli.contained``
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from tempfile import TemporaryFile

from minihv.cli.contained import contained
from minihv.cli.output import is_plain, print_table
from minihv.errors import MinihvError

WORKS, MISSING, BROKEN = "works", "missing", "broken"
GUEST = "01_hello"
WAYS = (("slat", "native"), ("slat", "reference"), ("hardware", "native"), ("hardware", "reference"))
"""Every paging mode on both cores."""
ENOUGH_MIB = 256
REINSTALL = "pip install --force-reinstall minihv"

PACKAGES = (
    ("numpy", "sees the machine's memory without a copy", "pip install 'numpy>=1.26'"),
    ("cffi", "calls the C core", "pip install 'cffi>=1.17'"),
    ("capstone", "disassembles guests", "pip install 'capstone>=5.0.1,<6'"),
    ("typer", "reads the command line", "pip install 'typer>=0.15'"),
    ("rich", "draws tables on terminals", "pip install 'rich>=13.9'"),
    ("msgspec", "writes JSON", "pip install 'msgspec>=0.19'"),
)
EXTRAS = (
    (
        "strategies",
        ("hypothesis",),
        "draws page tables that test your own page walk",
        "pip install 'minihv[testing]'",
    ),
    ("tests", ("pytest", "hypothesis"), "runs minihv's own tests", "pip install 'minihv[test]'"),
    ("plots", ("matplotlib",), "draws what minihv compare measured", "pip install 'minihv[plot]'"),
    ("book", ("sphinx", "furo"), "builds the book", "pip install 'minihv[docs]'"),
)
COMMANDS = (
    (
        "C compiler",
        ("gcc", "clang"),
        "compiles guests of your own, and minihv from its sources",
        "apt-get install gcc, brew install llvm, or pip install ziglang",
    ),
    (
        "QEMU",
        ("qemu-system-x86_64",),
        "runs the loops of minihv bench for comparison",
        "apt-get install qemu-system-x86, or brew install qemu",
    ),
    ("gdb", ("gdb",), "reads the symbols and source lines of guest images", "apt-get install gdb"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``get`` says what to do when it does not work."""

    name: str
    state: str
    found: str
    purpose: str
    get: str
    required: bool = True


def examine(*, as_json: bool, plain: bool) -> int:
    """Looks at everything and says so; 0 when all that is required works."""
    findings = list(look())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings, plain=is_plain(plain))
    return 1 if troubles(findings) else 0


def look() -> Iterator[Finding]:
    """Every finding, what is required first."""
    yield python()
    yield from (package(*row) for row in PACKAGES)
    yield attempt(
        "unicorn", engine, "the engine: it executes the guests", "pip install 'unicorn>=2.1.4,<2.2'"
    )
    yield attempt("C core", core, "the run loop and the walks", REINSTALL)
    yield attempt("guests", images, "the built-in programs of minihv run", REINSTALL)
    yield attempt("MINIHV_CORE", chosen_core, "chooses who walks page tables", "unset MINIHV_CORE")
    yield processes()
    yield memory()
    yield from (run_in(paging, walker) for paging, walker in WAYS)
    yield from (command(*row) for row in COMMANDS)
    yield from (extra(*row) for row in EXTRAS)


def attempt(name: str, probe: Callable[[], str], purpose: str, get: str) -> Finding:
    """Works, with what ``probe`` says; missing when a module is; broken when it says why not."""
    try:
        return Finding(name, WORKS, probe(), purpose, get)
    except ModuleNotFoundError as reason:
        return Finding(name, MISSING, str(reason), purpose, get)
    except (MinihvError, ImportError, OSError, AttributeError) as reason:
        return Finding(name, BROKEN, str(reason), purpose, get)


def python() -> Finding:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    state = WORKS if sys.version_info >= (3, 11) and sys.maxsize > 1 << 32 else BROKEN
    return Finding("Python", state, found, "runs ring -1", "install Python 3.11 or newer, 64-bit")


def package(name: str, purpose: str, get: str) -> Finding:
    """A Python package: whether it can be imported, and its version."""

    def probe() -> str:
        import_module(name)
        try:
            return version(name)
        except PackageNotFoundError:
            return "of unknown version"

    return attempt(name, probe, purpose, get)


def engine() -> str:
    """The engine's version, proven by a processor: its layout is the one that the C core knows."""
    from minihv.machine.engine import engine_version
    from minihv.machine.memory import SMALLEST, SystemMemory
    from minihv.machine.processor import Core, Processor

    found = ".".join(map(str, engine_version()))
    memory = SystemMemory(SMALLEST)
    try:
        Processor(memory, core=Core.NATIVE).close()
    finally:
        memory.close()
    return f"{found}, its layout is the proven one"


def core() -> str:
    """Whether the C core answers."""
    from minihv.machine.native import lib

    return f"built in, virtual time of {lib.MHV_TICKS_PER_BLOCK} ns a block"


def images() -> str:
    """Reads every image that the catalogue names."""
    from minihv.guests.catalogue import guests
    from minihv.guests.image import load_image

    found = [load_image(guest.path) for guest in guests()]
    return f"{len(found)} images"


def chosen_core() -> str:
    """What the environment asks for."""
    from minihv.machine.processor import Core

    asked = os.environ.get("MINIHV_CORE", "")
    return f"{Core.chosen().value}, {'as it asks' if asked else 'not set'}"


def processes() -> Finding:
    """Whether a guest can be given a process of its own."""
    state, found = (WORKS, "fork") if hasattr(os, "fork") else (MISSING, "no fork here")
    purpose = "a guest that kills the engine takes nothing else with it"
    return Finding("own process", state, found, purpose, "use Linux, macOS or WSL", required=False)


def memory() -> Finding:
    """What the host has left."""
    purpose, get = "the RAM of guests", "end other programs, or run guests with --memory 16M"
    try:
        free_mib = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (AttributeError, OSError, ValueError):
        return Finding("memory", WORKS, "the host does not say", purpose, get)
    state = WORKS if free_mib >= ENOUGH_MIB else BROKEN
    return Finding("memory", state, f"{free_mib:,} MiB free", purpose, get, required=False)


def run_in(paging: str, walker: str) -> Finding:
    """Whether a guest runs to its end in this paging mode on this core."""
    purpose = f"a run with --paging {paging} and MINIHV_CORE={walker}"
    return attempt(
        f"{paging}, {walker}", lambda: apart(lambda: run_guest(paging, walker)), purpose, REINSTALL
    )


def apart(probe: Callable[[], str]) -> str:
    """What ``probe`` says in a process of its own, so that it may die there."""
    with TemporaryFile("w+") as answer:

        def work(_beat: Callable[[], None]) -> int:
            try:
                answer.write(probe())
                return 0
            except MinihvError as reason:
                answer.write(str(reason))
                return 1
            finally:
                answer.flush()

        status = contained(work)
        answer.seek(0)
        text = answer.read()
    if status != 0:
        raise MinihvError(text or f"A probe must end well, and its process ended with status {status}.")
    return text


def run_guest(paging: str, walker: str) -> str:
    """The run itself."""
    from minihv.guests.session import GuestSession
    from minihv.machine.processor import Core, PagingMode

    with GuestSession(GUEST, paging=PagingMode(paging), core=Core(walker)) as session:
        report = session.run(100_000)
    if report.stopped != "halted" or report.counters.exits.get("IOIO") != len(report.console):
        raise MinihvError(f"The guest {GUEST} must halt, and it is {report.stopped}: {report.why}.")
    return f"{GUEST} halted after {report.counters.exits_total} exits"


def command(name: str, programs: tuple[str, ...], purpose: str, get: str) -> Finding:
    """The first of ``programs`` that is installed."""
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None and name == "C compiler" and find_spec("ziglang"):
        found = f"{sys.executable} -m ziglang cc"
    state = WORKS if found else MISSING
    return Finding(name, state, found or "not on the PATH", purpose, get, required=False)


def extra(name: str, modules: tuple[str, ...], purpose: str, get: str) -> Finding:
    """Packages that only developers need."""
    absent = [module for module in modules if not find_spec(module)]
    state = MISSING if absent else WORKS
    found = f"without {', '.join(absent)}" if absent else ", ".join(modules)
    return Finding(name, state, found, purpose, get, required=False)


def troubles(findings: list[Finding]) -> list[Finding]:
    """What is required and does not work."""
    return [finding for finding in findings if finding.required and finding.state != WORKS]


def show(findings: list[Finding], *, plain: bool) -> None:
    """For people: a table of each kind, ways to get the rest, and the verdict."""
    for title, required in (("Required", True), ("Useful", False)):
        rows = [
            (finding.state, finding.name, finding.found if finding.state == WORKS else "-", finding.purpose)
            for finding in findings
            if finding.required is required
        ]
        print_table(title, ("state", "name", "found", "what it is for"), rows, plain=plain)
        print()
    for finding in findings:
        if finding.state != WORKS:
            print(f"{finding.name} is {finding.state} ({finding.found.rstrip('.')}): {finding.get}")
    bad = troubles(findings)
    if bad:
        print(f"minihv does not work here: see {', '.join(finding.name for finding in bad)}.")
    else:
        print("Everything that is required works.")
