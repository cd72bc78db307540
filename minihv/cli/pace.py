"""Holds a machine back that runs ahead of the host's clock, so that people can take part.

Simplified: a machine that is behind, because it works more than the host can do, is not made to hurry.
Next: ``minihv.cli.run``

While every VP idles, virtual time skips to the next alarm: a guest that waits for a minute is there at once.
This waits between two rounds until the host's clock is as far. The model does not know of it: the same things
happen at the same virtual times, as long as nobody outside does anything.
"""

import time
from collections.abc import Callable

from minihv.cli.top.machine_view import virtual_time_ns
from minihv.hypervisor.hypervisor import Hypervisor

PIECE_SECONDS = 0.05
"""So long at once, so that what comes meanwhile is seen soon."""
SECOND_NS = 1_000_000_000


class Pace:
    """Waits for the host's clock on behalf of one machine."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hypervisor, self._now, self._sleep = hypervisor, now, sleep
        self._start = now() - virtual_time_ns(hypervisor) / SECOND_NS

    def wait(self) -> bool:
        """Sleeps for a piece of the time that the machine is ahead; false when it is not."""
        virtual, host = virtual_time_ns(self._hypervisor) / SECOND_NS, self._now() - self._start
        if virtual <= host:
            self._start += host - virtual
            return False
        self._sleep(min(virtual - host, PIECE_SECONDS))
        return True
