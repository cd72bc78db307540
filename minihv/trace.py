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

from minihv.errors import ConfigurationError, InternalError


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to VP ``vp`` of ``partition`` at ``time_ns`` of virtual time."""

    time_ns: int
    partition: int
    vp: int
    kind: str
    """``exit``, ``exception``, ``interrupt``, ``world switch``, ``message`` or ``event``."""
    name: str
    rip: int
    detail: dict[str, int] = field(default_factory=dict)


Reader = Callable[[Event], None]


class TraceWriter:
    """Writes events to a file: one JSON object a line, or the Chrome trace format for a ``.json`` file.

    The file is made on entry as a context manager, or for the first event if that is sooner, and is whole
    after the exit, whatever ended the run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chrome = path.suffix == ".json"
        self._file: IO[str] | None = None
        self._is_closed = False
        self._before = "\n"

    def __call__(self, event: Event) -> None:
        """Writes one event."""
        if not self._chrome:
            self._write(json.dumps(asdict(event)) + "\n")
            return
        self._write(self._before + json.dumps(chrome_event(event)))
        self._before = ",\n"

    def __enter__(self) -> Self:
        self.open()
        return self

    def open(self) -> None:
        """Makes the file, if it is not there yet.

        Raises:
            ConfigurationError: it cannot be made.
        """
        if self._file is not None:
            return
        try:
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as reason:
            raise ConfigurationError(
                f"A trace is written to a file that can be made, and {self._path} cannot "
                f"({reason.strerror}): choose another name."
            ) from reason
        if self._chrome:
            self._write('{"displayTimeUnit": "ns", "traceEvents": [')

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Completes the file."""
        self._is_closed = True
        if self._file is None:
            return
        try:
            if self._chrome:
                self._file.write("\n]}\n")
            self._file.close()
        except OSError as reason:
            if kind is None:
                raise self._unwritable(reason) from reason

    def _write(self, text: str) -> None:
        if self._is_closed:
            raise InternalError("An event came after the trace was closed.")
        self.open()
        assert self._file is not None
        try:
            self._file.write(text)
        except OSError as reason:
            raise self._unwritable(reason) from reason

    def _unwritable(self, reason: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"A trace must be written to its end, and {self._path} cannot be ({reason.strerror}): "
            "free some space, or choose another place."
        )


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
