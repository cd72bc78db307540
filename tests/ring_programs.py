"""The C programs about the ring in ``native/core/tests``, built for a test that runs them."""

import re
import shutil
from pathlib import Path

import pytest
from source_tree import CORE, run

RING = ["ring.c", "ring_read.c", "ring_write.c"]
STRICT = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror"]

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


def build(program: Path, sources: list[str], *flags: str, compiler: str = "cc") -> Path:
    """``program`` from files of ``native/core/tests`` and the ring.

    Skips the test when the compiler cannot link with these flags, as where it lacks a sanitizer.
    """
    probe = program.with_suffix(".c")
    probe.write_text("int main(void)\n{\n    return 0;\n}\n")
    if run(compiler, *flags, probe, "-o", program).returncode or run(program).returncode:
        pytest.skip(f"{compiler} has no {' '.join(flags)} here")
    files = [CORE / "tests" / name for name in sources] + [CORE / "src" / name for name in RING]
    includes = [f"-I{CORE / 'include'}", f"-I{CORE / 'tests'}"]
    done = run(compiler, *STRICT, *flags, *includes, *files, "-o", program, "-pthread")
    assert done.returncode == 0, done.stderr
    return program


def named_orders() -> list[str]:
    """The orders and barriers that the ring needs, as ``src/ring_order.h`` names them."""
    text = (CORE / "src" / "ring_order.h").read_text()
    body = re.search(r"enum ring_order \{(.*?)\};", text, re.DOTALL)
    assert body is not None
    return re.findall(r"^\s+([A-Z_]+),", body[1], re.MULTILINE)[1:]
