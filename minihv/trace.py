"""The stream of events: what happened in a machine, in order, for whoever reads it. Free when nobody does.

Stands for: a logic analyser; nothing in a real machine.
Spec: "Trace Event Format" (the JSON that chrome://tracing and ui.perfetto.dev open).
Next: ``minihv.spec.bits``
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from minihv.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to VP ``vp`` of ``partition`` at ``time_ns`` of virtual time."""

    time_ns: int
    partition: int
    vp: int
    kind: str
    """``exit``, ``exception``, ``interrupt`` or ``world switch``."""
    name: str
    rip: int
    detail: dict[str, int] = field(default_factory=dict)


Reader = Callable[[Event], None]


class TraceWriter:
    """Writes events to a file: one JSON object a line, or the Chrome trace format for a ``.json`` file."""

    def __init__(self, path: Path) -> None:
        self._chrome = path.suffix == ".json"
        try:
            self._file: IO[str] = path.open("w", encoding="utf-8")
        except OSError as reason:
            raise ConfigurationError(
                f"A trace is written to a file that can be made, and {path} cannot ({reason.strerror}): "
                "choose another name."
            ) from reason
        self._first = True
        if self._chrome:
            self._file.write('{"displayTimeUnit": "ns", "traceEvents": [')

    def __call__(self, event: Event) -> None:
        """Writes one event."""
        if not self._chrome:
            self._file.write(json.dumps(asdict(event)) + "\n")
            return
        self._file.write("\n" if self._first else ",\n")
        self._first = False
        self._file.write(json.dumps(chrome_event(event)))

    def close(self) -> None:
        """Completes the file."""
        if self._chrome:
            self._file.write("\n]}\n")
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def chrome_event(event: Event) -> dict[str, object]:
    """``event`` as an instant on the track of its VP; partitions are processes, VPs are threads."""
    return {
        "name": event.name,
        "cat": event.kind,
        "ph": "i",
        "s": "t",
        "ts": event.time_ns / 1000,
        "pid": event.partition,
        "tid": event.vp,
        "args": {"rip": hex(event.rip), **{key: hex(value) for key, value in event.detail.items()}},
    }
