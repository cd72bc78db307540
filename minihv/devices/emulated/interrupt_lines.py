"""An interrupt line: a wire that is high or low, and who watches it.

Stands for: a trace on a mainboard.
Spec: "ISA System Architecture": interrupt requests are active high.
Simplified: none known.
Next: ``minihv.devices.emulated.pic``

A controller takes a line by its *edge* (it has become high, however long ago) or by its *level* (it is high).
"""

from collections.abc import Callable

Watcher = Callable[[bool], None]
"""Is called with what a line has become."""


class Line:
    """A wire. Whoever watches is told when it changes, and only then."""

    def __init__(self, *watchers: Watcher) -> None:
        self.is_high = False
        self._watchers = list(watchers)

    def watch(self, *watchers: Watcher) -> None:
        """From now on they are told, too."""
        self._watchers += watchers

    def set(self, high: bool) -> None:
        """The line is high, or low."""
        if high is self.is_high:
            return
        self.is_high = high
        for watcher in self._watchers:
            watcher(high)

    def pulse(self) -> None:
        """The line rises once more, and stays high."""
        self.set(False)
        self.set(True)
