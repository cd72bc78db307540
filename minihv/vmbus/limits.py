"""What a guest may make VMBus keep for it. Beyond these numbers a request is refused.

Stands for: the quotas that a parent sets on each child.
Simplified: Hyper-V's own quotas are not published; these are far above what Linux asks for.
Next: ``minihv.vmbus.rules``
"""

from minihv.spec.vmbus import MAX_RELID

MAX_CHANNELS = MAX_RELID
"""Offers of one partition: only the host makes them."""

MAX_GPADLS = 4096
"""GPADLs of one partition, half-received ones included."""

MAX_GPADLS_PER_CHANNEL = 64
"""A network device has three."""

MAX_RANGES = 64
"""Ranges of one GPADL; Linux has one."""

MAX_GRANTED_PAGES = 1 << 18
"""Pages in all GPADLs of one partition, repetitions counted: 1 GiB. One GPADL has 8190 at most."""

MAX_HALF_RECEIVED_BYTES = 1 << 20
"""What the headers of half-received GPADLs have announced, in one partition: sixteen of the largest."""

MAX_ACTIONS = 8192
"""Actions that wait for the parent; at so many, no further message is taken from the guest."""

MAX_TRANSFER_BYTES = 8 << 20
"""What one packet may name of the guest's memory; Linux stops at 128 KiB to 1 MiB."""

MAX_QUEUED_PACKETS = 64
MAX_QUEUED_BYTES = 1 << 20
"""What a device may leave with a channel whose ring is full."""
