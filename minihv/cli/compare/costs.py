"""What each counted event would cost a real processor, in cycles, and the sum over a run.

The sum is an estimate and nothing finer: each event costs the same wherever it happens, and caches, overlap
and the clock of a machine are in the table or nowhere. What is counted is exact; what it costs is not, so
every number of the table can be replaced (``minihv compare paging --costs FILE``).

Stands for: a processor's manual and a stopwatch.
Simplified: linear; one price for an event, whatever came before it.
Next: ``minihv.cli.compare.verdict``
"""

import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from minihv.errors import ConfigurationError, nearest


class Counted(Protocol):
    """What is counted of a run: ``Counters`` of a session have it, and results of a comparison."""

    blocks: int
    walk_references: int
    exits: dict[str, int]
    exits_total: int


def cost(cycles: float, of: str, source: str) -> Any:
    """A field of ``Costs``: its default, the event it is the price of, and where the number is from."""
    return field(default=cycles, metadata={"of": of, "source": source})


@dataclass(frozen=True, slots=True)
class Costs:
    """Cycles of a real processor for one event of each kind.

    No event is paid twice: what ``exit`` pays is the way out of the guest and back, and the three costs
    below it are the hypervisor's own work in between. A TLB miss is paid by its references alone.
    """

    block: float = cost(
        5,
        "a block executed, or one iteration of a repeated instruction",
        "Five instructions at one a cycle: Hennessy and Patterson, Computer Architecture: A Quantitative "
        'Approach, "Instruction-Level Parallelism: Concepts and Challenges", has three to six between two '
        "branches",
    )
    walk_reference: float = cost(
        12,
        "an entry of a table that a walk of the processor reads",
        "A read that hits the second cache: AMD, Software Optimization Guide for AMD Family 19h "
        "Processors; processors keep upper levels in caches of their own and read fewer: Park et al., "
        "Every Walk's a Hit, ASPLOS 2022, has 1.5 of 4, and 4.4 of 24",
    )
    exit: float = cost(
        2000,
        "an exit: from the guest to the hypervisor and back",
        "Landau, Ben-Yehuda and Gordon, SplitX, WIOV 2011: the direct cost of an exit",
    )
    shadow_fault: float = cost(
        1000,
        "an exit EXCP14: the guest's tables are walked by software, then an entry is filled, a write to a "
        "table is carried out, or the fault is given to the guest",
        "An assumption: half an exit",
    )
    control_write: float = cost(
        1000,
        "an exit CR0_WRITE, CR3_WRITE or CR4_WRITE: other shadow tables are found, or made",
        "An assumption: half an exit",
    )
    invalidation: float = cost(
        500,
        "an exit INVLPG: one shadow entry is brought up to date",
        "An assumption: half of a shadow_fault",
    )


def events(counted: Counted) -> dict[str, int]:
    """How often each event happened; the names are those of ``Costs``."""
    return {
        "block": counted.blocks,
        "walk_reference": counted.walk_references,
        "exit": counted.exits_total,
        "shadow_fault": counted.exits.get("EXCP14", 0),
        "control_write": sum(counted.exits.get(f"CR{number}_WRITE", 0) for number in (0, 3, 4)),
        "invalidation": counted.exits.get("INVLPG", 0),
    }


def contributions(counted: Counted, costs: Costs) -> dict[str, float]:
    """The cycles that each event adds: how often it happened, times its cost."""
    return {name: count * float(getattr(costs, name)) for name, count in events(counted).items()}


def modelled_cycles(counted: Counted, costs: Costs) -> int:
    """The sum of all contributions."""
    return round(sum(contributions(counted, costs).values()))


def names() -> list[str]:
    """Every cost."""
    return [one.name for one in fields(Costs)]


def explained(costs: Costs) -> list[tuple[str, str, str, str]]:
    """The table of costs: the name, the cycles, what is paid with them, and who says so."""
    rows = []
    for one in fields(Costs):
        value = float(getattr(costs, one.name))
        source = one.metadata["source"] if value == one.default else "your own number"
        rows.append((one.name, f"{value:g}", str(one.metadata["of"]), str(source)))
    return rows


def load_costs(path: Path) -> Costs:
    """The costs that the TOML file at ``path`` names; those that it does not stay as they are.

    Raises:
        ConfigurationError: it cannot be read, or says something else than costs.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as reason:
        raise ConfigurationError(
            f"A table of costs is a file that can be read, and {path} cannot ({reason.strerror}): "
            "check the path."
        ) from reason
    except ValueError as reason:
        raise ConfigurationError(
            f"A table of costs is TOML, which {path} is not ({reason}): write lines such as 'exit = 1500'."
        ) from reason
    return Costs(**{name: checked(name, value) for name, value in said.items()})


def checked(name: str, value: object) -> float:
    """``value``, if it can be the cost called ``name``."""
    if name not in names():
        raise ConfigurationError(
            f"A cost must be one of {', '.join(names())}, not {name!r}{nearest(name, names()) or '.'}"
        )
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ConfigurationError(
            f"The cost {name!r} must be a number of cycles, 0 or more, not {value!r}: leave the line out for "
            f"{getattr(Costs(), name):g}."
        )
    return float(value)  # type: ignore[arg-type]
