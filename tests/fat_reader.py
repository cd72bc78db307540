"""The FAT reader of the guests, compiled for the host under the sanitizers: for tests with many disks."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from ring_programs import STRICT
from source_tree import CORE, ROOT, run

GUESTS = ROOT / "native" / "guests"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
READER = [*sorted((GUESTS / "lib").glob("fat*.c")), GUESTS / "lib" / "block.c"]
LISTING = [
    GUESTS / "tests" / "files_on_host.c",
    GUESTS / "programs" / "30_files" / "listing.c",
    GUESTS / "lib" / "crc32.c",
]
TARGET, PLAYER = GUESTS / "tests" / "fuzz_fat.c", CORE / "tests" / "fuzz_main.c"
Change = tuple[int, bytes]
"""What is written over a volume before it is read: where, and what."""

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


def build(program: Path, sources: Sequence[Path], *flags: str, compiler: str = "cc") -> Path:
    """``program`` from ``sources``, without a warning; with ``flags`` if the compiler has them."""
    probe = program.with_suffix(".c")
    probe.write_text("int main(void)\n{\n    return 0;\n}\n")
    has_flags = run(compiler, *flags, probe, "-o", program).returncode == 0 == run(program).returncode
    used = flags if has_flags else ()
    done = run(compiler, *STRICT, *used, f"-I{GUESTS}", *sources, "-o", program)
    assert done.returncode == 0, done.stderr
    return program


class Reader:
    """Lists a volume, or prints a file of it, as guest 30 does."""

    def __init__(self, folder: Path) -> None:
        self.program = build(folder / "files_on_host", [*LISTING, *READER], *SANITIZERS)
        self.read_count = 0
        """Sectors that were read the last time."""

    def __call__(self, volume: Path, *changes: Change, path: str = "") -> list[str]:
        """The lines that were printed; it ends well, and soon, whatever is on the volume."""
        changed = [f"{at + n}:{byte}" for at, data in changes for n, byte in enumerate(data)]
        done = run(self.program, volume, path, *changed)
        assert done.returncode == 0, done.stderr
        *lines, last = done.stdout.splitlines()
        self.read_count = int(last.split()[0])
        return lines
