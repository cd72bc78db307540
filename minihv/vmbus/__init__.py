"""VMBus: rings in shared memory, and the protocol that sets them up. Knows nothing of machines.

Next: ``minihv.vmbus.packets``
"""
