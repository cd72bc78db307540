"""The C core, for this floor. Nothing else here imports it.

Stands for: ``native/core/include/minihv/processor.h`` and the headers it names.
Simplified: none known.
"""

from minihv._core import ffi, lib

__all__ = ["ffi", "lib"]
