"""Parent partitions for tests, on machines of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.parent.partition import ParentPartition
from minihv.terms import MIB

PARENT_BYTES = 64 * MIB


@contextmanager
def booted(memory_bytes: int = PARENT_BYTES, **machine: Any) -> Iterator[ParentPartition]:
    """A parent that waits for work."""
    with Hypervisor(machine_bytes(memory_bytes), **machine) as hypervisor:
        yield ParentPartition(hypervisor, memory_bytes)
