"""Compiles the guest programs, ``native/guests/programs/NN_name``, to ``NN_name.elf``, and the parent.

``python native/guests/build.py FOLDER`` builds by hand what ``setup.py`` builds for the wheel. The same
sources and the same compiler give the same bytes, wherever the sources lie.

``python native/guests/build.py SOURCES IMAGE`` builds a program that is not in the tree: the C and assembly
files of the folder ``SOURCES``, with the library, become the file ``IMAGE``.

``CC`` names another compiler; ``MINIHV_WERROR=1`` turns its warnings into errors.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GUESTS = Path(__file__).resolve().parent
LIBRARY = GUESTS / "lib"
PARENT = GUESTS / "parent"
PROGRAMS = GUESTS / "programs"
CATALOGUE = PROGRAMS / "catalogue.toml"
CORE = GUESTS.parent / "core"
RINGS = sorted((CORE / "src").glob("ring*.c"))
"""The rings of VMBus: guests run the same source as the parent's side."""

LANGUAGE = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-I.", "-I../core/include"]
FREESTANDING = [
    "-ffreestanding",
    "-fno-pic",
    "-fno-pie",
    "-mno-red-zone",  # an interrupt in ring 0 pushes its frame where the red zone would be
    "-mgeneral-regs-only",  # and saves no SSE register
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-masm=intel",
    "-ffunction-sections",
    "-fdata-sections",
]
REPRODUCIBLE = [f"-ffile-prefix-map={GUESTS}=native/guests", f"-ffile-prefix-map={CORE}=native/core"]
LINK = [
    "-static",
    "-no-pie",
    "-nostdlib",
    "-Wl,-T,lib/guest.ld",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,max-page-size=4096",
]

# zig asks for SSE by name, which outlives -mgeneral-regs-only.
ZIG = ("-target", "x86_64-freestanding", "-fno-sanitize=all", "-mno-sse", "-mno-sse2", "-mno-mmx")


class GuestBuildError(Exception):
    """The guest programs cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Compiler:
    """A command that makes x86-64 ELF, with the flags it needs for that."""

    command: tuple[str, ...]
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(self.command)

    def run(self, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """What the compiler said, run where the sources are."""
        command = [*self.command, *self.flags, *map(str, arguments)]
        return subprocess.run(command, cwd=GUESTS, capture_output=True, text=True, check=False)

    def makes_guests(self) -> bool:
        """Whether the start-up code compiles and links here to an ELF for x86-64."""
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            image = Path(folder, "probe.elf")
            probe.write_text("void _start(void);\nvoid _start(void)\n{\n    for (;;)\n        ;\n}\n")
            done = self.run([*LANGUAGE, *FREESTANDING, *LINK, probe, "-o", image])
            return done.returncode == 0 and image.read_bytes()[:20].endswith(b"\x02\x00\x3e\x00")


def candidates() -> Iterator[Compiler]:
    """The compilers that may be here, the preferred one first."""
    if os.environ.get("CC"):
        yield Compiler(tuple(shlex.split(os.environ["CC"])))
    for name in ("gcc", "x86_64-linux-gnu-gcc"):
        if shutil.which(name):
            yield Compiler((name,))
    if shutil.which("clang"):
        yield Compiler(("clang",))
        yield Compiler(("clang",), ("--target=x86_64-unknown-none-elf", "-fuse-ld=lld"))
    if importlib.util.find_spec("ziglang"):
        yield Compiler((sys.executable, "-m", "ziglang", "cc"), ZIG)


def find_compiler() -> Compiler:
    """The first compiler that makes guests."""
    tried = []
    for compiler in candidates():
        try:
            if compiler.makes_guests():
                return compiler
        except OSError:
            pass
        tried.append(str(compiler))
    raise GuestBuildError(
        f"Guest programs need a compiler that makes x86-64 ELF, and none was found (tried: "
        f"{', '.join(tried) or 'nothing'}); install gcc or clang, or run 'pip install ziglang'."
    )


def compile_source(compiler: Compiler, source: Path, objects: Path) -> Path:
    """The object file of ``source``, which has a name of its own among all that are linked together."""
    relative = Path(os.path.relpath(source, GUESTS))
    output = objects / relative.as_posix().replace("/", "-").replace(".", "-")
    output = output.with_suffix(".o")
    werror = ["-Werror"] if os.environ.get("MINIHV_WERROR", "") not in ("", "0") else []
    flags = [*LANGUAGE, *FREESTANDING, *REPRODUCIBLE, *werror]
    done = compiler.run([*flags, "-c", relative, "-o", output])
    if done.returncode != 0:
        raise GuestBuildError(f"{compiler} cannot compile {shown(source)}:\n{done.stderr}")
    sys.stderr.write(done.stderr)
    return output


def shown(source: Path) -> str:
    """The path of ``source`` in messages: from the root of the project, if it is part of it."""
    for folder, name in ((GUESTS, "native/guests"), (CORE, "native/core")):
        if source.is_relative_to(folder):
            return f"{name}/{source.relative_to(folder).as_posix()}"
    return str(source)


def link(compiler: Compiler, objects: Sequence[Path], image: Path) -> None:
    """``objects`` are linked to ``image``."""
    done = compiler.run([*FREESTANDING, *LINK, *objects, "-o", image])
    if done.returncode != 0:
        raise GuestBuildError(f"{compiler} cannot link {image.name}:\n{done.stderr}")
    sys.stderr.write(done.stderr)


def sources(folder: Path) -> list[Path]:
    """The C and assembly files of ``folder``, in an order that is the same everywhere."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".S"))


def program_folders() -> list[Path]:
    """The folder of each program; the catalogue describes exactly these."""
    folders = sorted(path for path in PROGRAMS.iterdir() if path.is_dir() and sources(path))
    described = {entry["name"] for entry in tomllib.loads(CATALOGUE.read_text())["guest"]}
    if described != {folder.name for folder in folders}:
        difference = ", ".join(sorted(described ^ {folder.name for folder in folders}))
        raise GuestBuildError(
            f"Each program has a folder and an entry in {CATALOGUE.name}; not so: {difference}."
        )
    return folders


def compile_library(compiler: Compiler, objects: Path) -> list[Path]:
    """The object files that every program is linked with; the linker leaves out what one does not use."""
    return [compile_source(compiler, source, objects) for source in (*sources(LIBRARY), *RINGS)]


def build_one(folder: str | os.PathLike[str], image: str | os.PathLike[str]) -> Path:
    """The program in ``folder``, which need not lie in the tree, is ``image``.

    Raises:
        GuestBuildError: No compiler was found, or it refused, or the folder has no sources.
    """
    own, output = sources(Path(folder).resolve()), Path(image).resolve()
    if not own:
        raise GuestBuildError(
            f"A program has C or assembly files, and {folder} has none; name another folder."
        )
    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as temporary:
        objects = Path(temporary)
        library = compile_library(compiler, objects)
        link(compiler, [*(compile_source(compiler, source, objects) for source in own), *library], output)
    return output


def build_all(output_folder: str | os.PathLike[str]) -> list[Path]:
    """Every program and the kernel of the parent is an image in ``output_folder``, beside the catalogue.

    Returns:
        The images.

    Raises:
        GuestBuildError: No compiler was found, or it refused; the message holds what it said.
    """
    folder = Path(output_folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    compiler = find_compiler()
    images = []
    with tempfile.TemporaryDirectory() as temporary:
        objects = Path(temporary)
        library = compile_library(compiler, objects)
        for program in (PARENT, *program_folders()):
            own = [compile_source(compiler, source, objects) for source in sources(program)]
            images.append(folder / f"{program.name}.elf")
            link(compiler, [*own, *library], images[-1])
    shutil.copyfile(CATALOGUE, folder / CATALOGUE.name)
    return images


def main(arguments: Sequence[str]) -> int:
    """Builds all programs into a folder, or a folder's program into an image."""
    if len(arguments) not in (1, 2):
        print("usage: python native/guests/build.py FOLDER | SOURCES IMAGE", file=sys.stderr)
        return 2
    try:
        images = build_all(*arguments) if len(arguments) == 1 else [build_one(*arguments)]
        for image in images:
            print(image)
    except GuestBuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
