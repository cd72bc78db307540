"""Ring -1: partitions, virtual processors, exits, hypercalls, the scheduler; and no device.

Next: ``minihv.hypervisor.hypervisor``
"""
