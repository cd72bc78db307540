"""The two ends of rings that the host has, in C or in Python: whichever, they do the same.

Stands for: the choice of a twin.
Spec: ``minihv.vmbus.ring``.
Simplified: none known.
Next: ``minihv.vmbus.channel``
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from minihv.vmbus.native import NativeReader, NativeWriter
from minihv.vmbus.packets import Packet
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Empty, Full, Ok, RingReader, RingWriter, TooLong


class Reader(Protocol):
    """The receiving end, as far as a channel uses it."""

    def read_batch(self, limit: int) -> list[Packet] | Empty | Corrupt:
        """At most ``limit`` packets, at least one."""

    def commit_read(self) -> bool:
        """Gives the room back; whether the sender must be signalled."""


class Writer(Protocol):
    """The sending end, as far as a channel uses it."""

    @property
    def position(self) -> int:
        """Where this end goes on."""

    @property
    def published(self) -> int:
        """What the peer may know of ``position``."""

    def write(self, packet: Packet) -> Ok | Full | TooLong | Corrupt:
        """Puts a packet behind the last; nobody sees it yet."""

    def commit_write(self) -> bool:
        """Publishes; whether the receiver must be signalled."""

    def await_room(self, needed: int) -> Ok | Full | Corrupt:
        """After ``Full``: whether there is room by now, else the receiver will signal."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How the ends of rings are made."""

    reader: Callable[[RingPages], Reader]
    writer: Callable[[RingPages], Writer]


REFERENCE = Ends(RingReader, RingWriter)
NATIVE = Ends(NativeReader, NativeWriter)
