"""The files of the project, for tests that read or copy them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "native" / "core"
INCLUDE = CORE / "include"

BUILT = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".venv", "_build", "build", "dist", "images",
    "*.egg-info", "*.o", "*.so", "__pycache__",
)  # fmt: skip
TEXT = {
    ".c",
    ".cfg",
    ".css",
    ".h",
    ".html",
    ".ld",
    ".md",
    ".py",
    ".pyi",
    ".rst",
    ".S",
    ".toml",
    ".txt",
    ".yaml",
}


def modules() -> list[Path]:
    """Every Python module of the package."""
    return sorted((ROOT / "minihv").rglob("*.py"))


def headers() -> list[Path]:
    """Every header of the C core."""
    return sorted(INCLUDE.rglob("*.h"))


def core_sources() -> list[Path]:
    """Every C file of the C core that becomes part of ``minihv._core``."""
    return sorted((CORE / "src").glob("*.c"))


def texts() -> Iterator[Path]:
    """Every text file of the project, without what was built."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if name == ".ci" or not name.startswith(".")]
        built = BUILT(folder, [*names, *files])
        names[:] = sorted(set(names) - built)
        for name in sorted(set(files) - built):
            if Path(name).suffix in TEXT or Path(folder).name == ".ci":
                yield Path(folder, name)


def copy_to(folder: Path) -> Path:
    """A copy of the project without anything that was built, at ``folder``."""
    return shutil.copytree(ROOT, folder, ignore=BUILT)


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What ``command`` did; ``env`` is added to the environment of the tests."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def run_module(module: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What ``python -m module`` did."""
    return run(sys.executable, "-m", module, *arguments, cwd=cwd)


def tool(name: str) -> str | None:
    """The path of a command that the test extra installs, or else of the system's."""
    return shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
