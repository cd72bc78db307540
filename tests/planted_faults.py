"""A copy of the package whose C core can be given a fault, and built again in a second.

The faults are data: ``mutations/faults.toml``. One is planted in a copy of its file; the C files that include
it are compiled again, and ``minihv._core`` is linked anew. The sources themselves are never touched.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from source_tree import CORE, ROOT, run

TABLE = ROOT / "tests" / "mutations" / "faults.toml"
FLAGS = ["-std=c11", "-O1", "-fPIC", "-w"]
TIMEOUT_S = 300


class NotPlanted(Exception):
    """The fault cannot be planted: the text that it replaces is gone, or there is more than one."""


@dataclass(frozen=True)
class Fault:
    """One fault of the table; ``tests/mutations/faults.toml`` says what its parts are."""

    file: str
    old: str
    new: str
    means: str
    caught_by: tuple[str, ...]
    quick: bool = False

    def planted(self, source: str) -> str:
        """``source`` with the fault in it."""
        if source.count(self.old) != 1:
            raise NotPlanted(
                f"A fault replaces text that occurs once, and {self.old.strip()!r} occurs "
                f"{source.count(self.old)} times in {self.file}: write it anew in {TABLE.name}."
            )
        return source.replace(self.old, self.new)


def faults() -> list[Fault]:
    """All that are known, in the order of the table."""
    read = tomllib.loads(TABLE.read_text())["fault"]
    return [Fault(**{**fault, "caught_by": tuple(fault["caught_by"])}) for fault in read]


class FaultyPackage:
    """``minihv`` in ``folder``, with a core of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = shutil.copytree(CORE, folder / "core", ignore=shutil.ignore_patterns("build", "tests"))
        ignored = shutil.ignore_patterns("_core*.so", "__pycache__")
        self.package = shutil.copytree(ROOT / "minihv", folder / "built" / "minihv", ignore=ignored)
        self.objects = folder / "objects"
        self.objects.mkdir()
        generated = folder / "core.c"
        _emit(generated)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._compile, [generated, *sorted(self.core.glob("src/*.c"))]))
        self._link()

    def plant(self, fault: Fault) -> None:
        """The core has ``fault``, and no other, from now on."""
        self._replace(fault, fault.planted((ROOT / fault.file).read_text()))

    def mend(self, fault: Fault) -> None:
        """The core is sound again."""
        self._replace(fault, (ROOT / fault.file).read_text())

    def _replace(self, fault: Fault, text: str) -> None:
        file = self.core / Path(fault.file).relative_to(CORE.relative_to(ROOT))
        file.write_text(text)
        for source in sorted(including(file, self.core)):
            self._compile(source)
        self._link()

    def _compile(self, source: Path) -> None:
        includes = [f"-I{self.core / 'include'}", f"-I{sysconfig.get_path('include')}"]
        done = run("cc", *FLAGS, *includes, "-c", source, "-o", self.objects / f"{source.stem}.o")
        assert done.returncode == 0, done.stderr

    def _link(self) -> None:
        library = self.package / "_core.abi3.so"
        library.unlink(missing_ok=True)
        done = run("cc", "-shared", *sorted(self.objects.glob("*.o")), "-o", library)
        assert done.returncode == 0, done.stderr

    def failures(self, tests: tuple[str, ...]) -> tuple[list[str], str]:
        """Which of ``tests`` fail with this core, by their names, and all that pytest said.

        All of them if the core ends the process.
        """
        plain = ["-q", "-rf", "--capture=sys", "-p", "no:cacheprovider", f"--basetemp={self.folder / 'base'}"]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pytest", *plain, "--hypothesis-profile=planted", *tests],
            cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        said = done.stdout[-4000:] + done.stderr[-2000:]
        assert done.returncode in (0, 1) or done.returncode < 0, said
        if done.returncode < 0:
            return list(tests), said
        failed = re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
        return [test for test in tests if any(name.startswith(test) for name in failed)], said

    def environment(self) -> dict[str, str]:
        """In which ``minihv`` is this package."""
        own = {"PYTHONPATH": str(self.package.parent), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **own}


def including(file: Path, core: Path) -> set[Path]:
    """The C files of ``core`` that are compiled with ``file`` in them."""
    if file.suffix == ".c":
        return {file}
    line = re.compile(rf'#include "(?:minihv/)?{re.escape(file.name)}"')
    found: set[Path] = set()
    for other in _sources(core):
        if other != file and line.search(other.read_text()):
            found |= including(other, core)
    return found


def _sources(core: Path) -> Iterator[Path]:
    for pattern in ("src/*.c", "src/*.h", "include/minihv/*.h"):
        yield from sorted(core.glob(pattern))


def _emit(file: Path) -> None:
    """Writes what cffi makes of the headers."""
    spec = importlib.util.spec_from_file_location("planted_build_ffi", CORE / "build_ffi.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ffibuilder.emit_c_code(str(file))
