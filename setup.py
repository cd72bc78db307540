"""Builds what a wheel of minihv holds besides Python: the C core and the guest programs.

The C core (``native/core``) becomes ``minihv._core``, a cffi module in API mode for the stable ABI.
The guest programs (``native/guests``) become ``minihv/guests/images/*.elf``.

``MINIHV_WERROR=1`` turns the compiler's warnings into errors; ``MINIHV_SANITIZE=1`` builds the core with
AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.extension import Extension

ROOT = Path(__file__).resolve().parent
CORE = ROOT / "native" / "core"
GUEST_BUILDER = ROOT / "native" / "guests" / "build.py"

STRICT = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic"]
WERROR = ["-Werror"]
SANITIZE = [
    "-O1",
    "-fno-omit-frame-pointer",
    "-fno-wrapv",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
]


def asked(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


class BuildCore(build_ext):
    """Compiles our sources with strict flags, and the file that cffi generates with the usual ones."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.force = True  # flags may have changed since the last build, and the core compiles in seconds

    def build_extension(self, ext: Extension) -> None:
        flags, link = self.core_flags()
        ext.extra_compile_args = [*link]
        ext.extra_link_args = [*link]
        ext.extra_objects = self.compiler.compile(
            [str(path.relative_to(ROOT)) for path in sorted((CORE / "src").glob("*.c"))],
            output_dir=self.build_temp,
            include_dirs=[str(CORE / "include")],
            extra_postargs=flags,
        )
        super().build_extension(ext)

    def core_flags(self) -> tuple[list[str], list[str]]:
        """The flags of our sources, and those of the whole module."""
        if self.compiler.compiler_type == "msvc":
            return ["/std:c11", "/O2", "/W4"], []
        sanitize = SANITIZE if asked("MINIHV_SANITIZE") else []
        return STRICT + (WERROR if asked("MINIHV_WERROR") else []) + sanitize, sanitize


class BuildGuests(Command):
    """Compiles the guest programs: beside the sources for an editable install, else into the build folder."""

    description = "compile the guest programs to ELF"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        ("build-lib=", None, "folder the package is built in")
    ]

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def folder(self) -> Path:
        assert self.build_lib is not None
        package = ROOT if self.editable_mode else Path(self.build_lib)
        return package / "minihv" / "guests" / "images"

    def run(self) -> None:
        spec = importlib.util.spec_from_file_location("minihv_guest_builder", GUEST_BUILDER)
        assert spec is not None and spec.loader is not None
        builder = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = builder
        spec.loader.exec_module(builder)
        shutil.rmtree(self.folder(), ignore_errors=True)
        self.folder().mkdir(parents=True)
        try:
            builder.build_all(self.folder())
        except builder.GuestBuildError as error:
            raise SystemExit(str(error)) from None

    def get_outputs(self) -> list[str]:
        return sorted(str(path) for path in self.folder().glob("*"))

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def get_source_files(self) -> list[str]:
        return sorted(
            str(path.relative_to(ROOT)) for path in GUEST_BUILDER.parent.rglob("*") if path.is_file()
        )


build.sub_commands.append(("build_guests", None))

setup(
    cffi_modules=["native/core/build_ffi.py:ffibuilder"],
    cmdclass={"build_ext": BuildCore, "build_guests": BuildGuests},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
