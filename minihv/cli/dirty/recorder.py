"""Runs a guest in intervals of virtual time, and takes from both logs of its partition after each.

Where a guest has several VPs, their turns end with the intervals: with others it may take another way.

Next: ``minihv.cli.dirty.dirty_map``
"""

from collections.abc import Callable

from minihv.cli.dirty.dirty_map import DirtyMap, Interval
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession

FIRST_EVERY = 1000
MOST_INTERVALS = 48
"""When nobody says how long an interval is: when there are so many, each two of them become one."""

Progress = Callable[[int], None]


class Recorder:
    """Records the dirty map of ``session``. ``every`` is the length of an interval in blocks."""

    def __init__(self, session: GuestSession, every: int | None = None) -> None:
        if every is not None and every < 1:
            raise ConfigurationError(
                f"An interval is at least one block, not {every}: leave --every out for a fitting length."
            )
        self._session = session
        self._doubles = every is None
        space = session.partition.gpa_space
        self.map = DirtyMap(session.guest, space.ram_bytes, FIRST_EVERY if every is None else every)

    def run(self, blocks: int | None = None, progress: Progress = lambda _blocks: None) -> DirtyMap:
        """Runs until the guest stops, or for ``blocks`` blocks; the map, of as much as there was.

        Raises:
            ConfigurationError: this machine has no logs, or no frames for them.
        """
        space = self._session.partition.gpa_space
        with space.dirty_log.reader() as written, space.access_log.reader() as touched:
            goes_on = True
            while goes_on:
                try:
                    goes_on = self._run_interval(blocks, progress)
                finally:  # an interrupt ends an interval too
                    self._add(Interval(self._now(), written.take(), touched.take()))
        return self.finished()

    def finished(self) -> DirtyMap:
        """The map, with what has become of the guest."""
        report = self._session.report()
        self.map.stopped, self.map.why = report.stopped, report.why
        return self.map

    def _now(self) -> int:
        return sum(int(vp.counters.blocks) for vp in self._session.partition.vps)

    def _run_interval(self, blocks: int | None, progress: Progress) -> bool:
        """Runs one interval; whether there is another."""
        start = self._now()
        length = self.map.every if blocks is None else min(self.map.every, blocks - start)
        used = self._session.hypervisor.run(length, lambda used: progress(start + used))
        return used >= length and start + used != blocks

    def _add(self, interval: Interval) -> None:
        intervals = self.map.intervals
        intervals.append(interval)
        if self._doubles and len(intervals) == MOST_INTERVALS:
            pairs = zip(intervals[::2], intervals[1::2], strict=True)
            self.map.intervals = [one.with_next(other) for one, other in pairs]
            self.map.every *= 2
