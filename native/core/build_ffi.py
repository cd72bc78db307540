"""Gives cffi the headers of the C core: they are the single declaration of ``minihv._core``.

Stands for: the table of contents of ``native/core``, read by the compiler and by Python alike.
Simplified: headers are fed to cffi without their preprocessor lines, so they may hold includes, a guard,
    enums, structs and prototypes, and neither macros nor inline functions.
"""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from cffi import FFI

CORE = Path(__file__).resolve().parent
HEADERS = CORE / "include" / "minihv"
CALLBACKS = CORE / "callbacks.h"

INCLUDE = re.compile(r'#include "minihv/(?P<name>[\w./]+)"|#include <std(?:atomic|bool|def|int)\.h>')
GUARD = re.compile(r"#(?:ifndef|define) MINIHV_\w+_H|#endif\b.*")


def headers_in_order() -> list[Path]:
    """Every header, each behind those that it includes; equals in alphabetical order."""
    needs: dict[str, list[str]] = {}
    for header in sorted(HEADERS.glob("*.h")):
        included = (INCLUDE.match(line) for line in header.read_text().splitlines())
        needs[header.name] = [found["name"] for found in included if found and found["name"]]
    return [HEADERS / name for name in TopologicalSorter(needs).static_order()]


def declarations(header: Path) -> str:
    """The text of ``header`` with an empty line in place of each preprocessor line."""
    kept = []
    for number, line in enumerate(header.read_text().splitlines(), start=1):
        if line.startswith("#"):
            if not INCLUDE.fullmatch(line.rstrip()) and not GUARD.fullmatch(line.rstrip()):
                raise SystemExit(
                    f"{header.name}:{number}: a core header may include minihv/*.h, stdint, stdbool, stddef "
                    f"and stdatomic, and hold its guard, not {line!r}; put it in the .c file."
                )
            line = ""
        kept.append(line)
    return "\n".join(kept) + "\n"


def make_ffi() -> FFI:
    """The cffi description of ``minihv._core``.

    ``callbacks.h``, where it exists, holds prototypes of what Python implements and the core calls.
    """
    ffi = FFI()
    headers = headers_in_order()
    for header in headers:
        ffi.cdef(declarations(header))
    if CALLBACKS.exists():
        ffi.cdef('extern "Python" {\n' + declarations(CALLBACKS) + "}\n")
    includes = "".join(f'#include "minihv/{header.name}"\n' for header in headers)
    ffi.set_source("minihv._core", includes, include_dirs=[str(CORE / "include")])
    return ffi


ffibuilder = make_ffi()
