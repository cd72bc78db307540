"""The Unicorn library: found, checked, and handed to the C core as a table of addresses.

The only module that imports unicorn. The C core links nothing, so a wheel builds without the engine.

Stands for: the maker of the silicon.
Spec: Unicorn 2.1, ``unicorn.h`` and ``x86.h``.
Simplified: the engine is AMD's EPYC model as Unicorn emulates it.
"""

import ctypes
from functools import cache
from typing import Any

from minihv.errors import ConfigurationError
from minihv.machine.native import ffi

SUPPORTED = ((2, 1, 4), (2, 2, 0))
"""The first release that works, and the first that is not known to."""


def load_library() -> ctypes.CDLL:
    """The engine's dynamic library, or a refusal that says how to get it."""
    try:
        from unicorn.unicorn_py3.unicorn import uclib
    except ImportError as reason:
        raise ConfigurationError(
            f"The engine is the package unicorn, which cannot be imported here ({reason}): "
            "run pip install 'unicorn>=2.1.4,<2.2'."
        ) from reason
    library: ctypes.CDLL = uclib
    return library


def engine_version() -> tuple[int, int, int]:
    """(major, minor, patch) of the library itself, not of its Python binding."""
    word = load_library().uc_version(None, None)
    return word >> 24 & 0xFF, word >> 16 & 0xFF, word >> 8 & 0xFF


@cache
def engine_api() -> Any:
    """A ``struct mhv_engine_api`` with the library's addresses. The struct lives as long as the process."""
    found = engine_version()
    if not SUPPORTED[0] <= found < SUPPORTED[1]:
        text = ".".join(map(str, found))
        raise ConfigurationError(
            f"The engine must be Unicorn 2.1.4 or a later 2.1 release, not {text}: "
            "run pip install 'unicorn>=2.1.4,<2.2'."
        )
    library = load_library()
    api = ffi.new("struct mhv_engine_api *")
    for name, field in ffi.typeof(api[0]).fields:
        address = ctypes.cast(getattr(library, f"uc_{name}"), ctypes.c_void_p).value
        setattr(api, name, ffi.cast(field.type, address))
    return api


def engine_message(error: int) -> str:
    """The engine's own words for one of its error numbers."""
    library = load_library()
    library.uc_strerror.restype = ctypes.c_char_p
    message: bytes = library.uc_strerror(error)
    return message.decode()
