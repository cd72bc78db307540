"""minihv: a hypervisor that can be read, run and stepped through.

First reading: ``minihv.paging.walk``, then ``minihv.machine.processor``, then ``minihv.hypervisor.exits``.
"""

__version__ = "0.1.0"
