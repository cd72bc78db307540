"""Short names for tests that speak of single entries and accesses.

The bits are written out here a second time, so that a test does not take a wrong position from the package.
"""

from collections.abc import Mapping

from minihv.hypervisor.exits import SHADOW_EXITS
from minihv.paging.access import Access, AccessKind

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NO_EXECUTE = 1 << 63

READ = Access(AccessKind.READ)
WRITE = Access(AccessKind.WRITE)
EXECUTE = Access(AccessKind.EXECUTE)
USER_READ = Access(AccessKind.READ, user=True)
USER_WRITE = Access(AccessKind.WRITE, user=True)
USER_EXECUTE = Access(AccessKind.EXECUTE, user=True)


def without_shadow(exits: Mapping[str, int]) -> dict[str, int]:
    """Exits by name, less those that shadow paging adds."""
    added = {code.name for code in SHADOW_EXITS}
    return {name: count for name, count in exits.items() if name not in added}
