"""Views of machines that never ran, for tests of what shows them."""

import os

from minihv.cli.top.board import process_start
from minihv.cli.top.machine_view import FORMAT, ChannelView, MachineView, PartitionView, VpView

OPEN = ChannelView(
    relid=3,
    device="echo",
    state="open",
    to_host_used=1024,
    to_host_bytes=4096,
    to_guest_used=0,
    to_guest_bytes=4096,
    received_packets=12_345,
    sent_packets=6,
)
OFFERED = ChannelView(relid=1, device="heartbeat", state="offered")


def vp(index: int = 0, blocks: int = 1000, exits: int = 7, state: str = "ready") -> VpView:
    return VpView(index=index, state=state, blocks=blocks, exits=exits, interrupts=2)


def partition(*vps: VpView, number: int = 1, state: str = "running", **members: object) -> PartitionView:
    fields = {"name": "01_hello", "parent_id": 0, "memory_bytes": 4096, "channels": [], **members}
    return PartitionView(id=number, state=state, vps=list(vps or (vp(),)), **fields)  # type: ignore[arg-type]


def machine(
    *partitions: PartitionView, published_at: float = 100.0, pid: int = 0, asked: int = 0
) -> MachineView:
    """A machine of this process, unless another is named."""
    return MachineView(
        format=FORMAT,
        pid=pid or os.getpid(),
        process_start=process_start(pid or os.getpid()),
        guest="01_hello",
        paging="slat",
        lps=1,
        virtual_time_ns=1_234_567_890,
        published_at=published_at,
        asked=asked,
        partitions=list(partitions or (partition(),)),
    )
