"""The headers of the core reach cffi in the order of their includes, and hold nothing else."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from source_tree import CORE, headers


@pytest.fixture(scope="module")
def build_ffi() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_ffi", CORE / "build_ffi.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_header_is_given_to_cffi_once(build_ffi: ModuleType) -> None:
    assert sorted(build_ffi.headers_in_order()) == headers()


def test_header_comes_after_what_it_includes(
    build_ffi: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.h").write_text('#include "minihv/z.h"\n')
    (tmp_path / "m.h").write_text('#include <stdint.h>\n#include "minihv/a.h"\n')
    (tmp_path / "z.h").write_text("#include <stdbool.h>\n")
    monkeypatch.setattr(build_ffi, "HEADERS", tmp_path)
    assert [header.name for header in build_ffi.headers_in_order()] == ["z.h", "a.h", "m.h"]


def test_preprocessor_lines_become_empty_so_that_line_numbers_stay(
    build_ffi: ModuleType, tmp_path: Path
) -> None:
    header = tmp_path / "ring.h"
    header.write_text(
        "#ifndef MINIHV_RING_H\n#define MINIHV_RING_H\nint mhv_f(void);\n#endif // MINIHV_RING_H\n"
    )
    assert build_ffi.declarations(header) == "\n\nint mhv_f(void);\n\n"


@pytest.mark.parametrize("line", ["#define MHV_PAGE 4096", "#include <stdio.h>", "#if 1"])
def test_header_with_more_than_declarations_is_refused(
    build_ffi: ModuleType, tmp_path: Path, line: str
) -> None:
    header = tmp_path / "ring.h"
    header.write_text(f"int mhv_f(void);\n{line}\n")
    with pytest.raises(SystemExit) as refusal:
        build_ffi.declarations(header)
    assert str(refusal.value) == (
        "ring.h:2: a core header may include minihv/*.h, stdint, stdbool, stddef and stdatomic, "
        f"and hold its guard, not {line!r}; put it in the .c file."
    )
