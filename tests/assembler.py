"""Machine code for tests: a few lines of assembly become the bytes that lie at an address."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from guest_images import builder

FLAGS = ("-static", "-no-pie", "-nostdlib", "-Wl,--oformat=binary", "-Wl,--build-id=none", "-Wl,-e,0")


@cache
def compiler() -> tuple[str, ...]:
    """The command that also compiles the built-in guests."""
    found = builder().find_compiler()
    return (*found.command, *found.flags)


@cache
def assemble(text: str, at: int = 0x10_0000) -> bytes:
    """The code of ``text``, in Intel syntax for 64-bit mode, as it lies at GVA ``at``."""
    with TemporaryDirectory() as folder:
        source, image = Path(folder, "code.S"), Path(folder, "code.bin")
        source.write_text(f".intel_syntax noprefix\n.code64\n.text\n{text}\n")
        command = [*compiler(), *FLAGS, f"-Wl,-Ttext={at:#x}", "-o", str(image), str(source)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, f"{text}\n{made.stderr}"
        return image.read_bytes()
