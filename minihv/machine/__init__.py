"""The physical box: memory, the processor, the clock.

Next: ``minihv.machine.memory``
"""
