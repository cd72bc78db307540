"""Refusals and bugs. What the architecture defines is a value and never comes this way.

Each message is one sentence that says the rule, the value that broke it, and a way out.

Next: ``minihv.trace``
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MinihvError(Exception):
    """The root of everything minihv raises on purpose."""


class ConfigurationError(MinihvError):
    """The description of a machine, a partition or a guest cannot be built."""


class AccessError(MinihvError):
    """A physical address that no memory or device answers."""


class LayoutError(MinihvError):
    """Bytes or bits that do not fit their layout."""


class ProtocolViolation(MinihvError):
    """The other partition broke the rules."""


class GuestStopped(MinihvError):
    """The guest cannot go on: triple fault, or a halt that nothing will end."""


class NotModelled(MinihvError):
    """Real, documented, and outside minihv; the message names the simplification."""


class MissingPackage(ConfigurationError, ImportError):
    """A part of minihv needs a package that only an extra of minihv installs."""


class InternalError(MinihvError):
    """minihv is wrong. Please report what led here."""


def nearest(name: str, names: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` when some name is close to ``name``, else an empty string."""
    found = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f", did you mean {found[0]!r}?" if found else ""
