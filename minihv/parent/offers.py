"""What a child is offered on its bus.

Stands for: the synthetic devices of a virtual machine: those that each has, and those of its configuration.
Spec: ``minihv.spec.integration`` and ``minihv.spec.own_channels``.
"""

from collections.abc import Iterator

from minihv.devices.synthetic.console import Console
from minihv.devices.synthetic.echo import Echo
from minihv.devices.synthetic.heartbeat import Heartbeat
from minihv.devices.synthetic.kvp import Kvp
from minihv.devices.synthetic.service import Service
from minihv.devices.synthetic.shutdown import Shutdown
from minihv.devices.synthetic.time_sync import TimeSync
from minihv.parent.children import Child


def standard_services(child: Child) -> Iterator[Service]:
    """The integration services, the console, the channel that echoes, and what the child's plan says."""
    yield Heartbeat()
    yield Shutdown()
    yield TimeSync(reference_start=child.partition.created_at)
    yield Kvp()
    yield Console(child.partition.console.extend)
    yield Echo()
    yield from child.plan.services
