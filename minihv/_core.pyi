"""The compiled C core, as cffi shows it. Only ``minihv.<floor>.native`` imports this.

Stands for: ``native/core``; each header there says what its functions do.
"""

from typing import Any

ffi: Any
lib: Any
