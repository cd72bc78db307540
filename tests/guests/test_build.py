"""Building the guests gives the same bytes everywhere, and says what is wrong where it cannot."""

import shutil
from pathlib import Path

import pytest
from guest_images import GUESTS, builder, built, program_names
from source_tree import CORE

from minihv.guests.session import GuestSession

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("gcc", "clang")), reason="no C compiler is installed"
)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(CORE, tmp_path / "elsewhere" / "core", ignore=shutil.ignore_patterns("build"))
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(GUESTS, tmp_path / "elsewhere" / "guests", ignore=ignored)


def test_every_program_the_parent_and_the_catalogue_are_built() -> None:
    names = sorted(path.name for path in built().iterdir())
    assert names == [*(f"{name}.elf" for name in program_names()), "catalogue.toml", "parent.elf"]


def test_same_sources_elsewhere_give_the_same_bytes(copied: Path, tmp_path: Path) -> None:
    images = builder(copied).build_all(tmp_path / "images")
    assert [image.read_bytes() == (built() / image.name).read_bytes() for image in images] == [True] * len(
        images
    )


def test_build_without_a_compiler_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "missing-cc")
    module = builder()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(module.GuestBuildError) as refused:
        module.build_all(tmp_path)
    assert str(refused.value) == (
        "Guest programs need a compiler that makes x86-64 ELF, and none was found (tried: missing-cc); "
        "install gcc or clang, or run 'pip install ziglang'."
    )


def test_source_that_does_not_compile_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "programs" / "01_hello" / "main.c").write_text("void guest_main(void) { nothing(); }}\n")
    module = builder(copied)
    with pytest.raises(module.GuestBuildError) as refused:
        module.build_all(tmp_path / "images")
    assert "cannot compile native/guests/programs/01_hello/main.c:\n" in str(refused.value)


def test_program_that_does_not_link_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "programs" / "01_hello" / "main.c").write_text("extern int it; int here(void);\n")
    module = builder(copied)
    with pytest.raises(module.GuestBuildError) as refused:
        module.build_all(tmp_path / "images")
    assert "cannot link 01_hello.elf:\n" in str(refused.value)
    assert "guest_main" in str(refused.value)


def test_program_that_the_catalogue_does_not_describe_is_refused(copied: Path, tmp_path: Path) -> None:
    (copied / "programs" / "01_hello").rename(copied / "programs" / "01_hallo")
    module = builder(copied)
    with pytest.raises(module.GuestBuildError) as refused:
        module.build_all(tmp_path / "images")
    assert str(refused.value) == (
        "Each program has a folder and an entry in catalogue.toml; not so: 01_hallo, 01_hello."
    )


def test_build_by_hand_takes_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module = builder()
    assert module.main([]) == 2
    assert capsys.readouterr().err == "usage: python native/guests/build.py FOLDER | SOURCES IMAGE\n"
    assert module.main([str(tmp_path)]) == 0
    assert str(tmp_path / "01_hello.elf") in capsys.readouterr().out.splitlines()


def test_program_outside_the_tree_is_built_with_the_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "main.c").write_text(
        '#include "lib/boot.h"\n#include "lib/console.h"\n'
        'void guest_main(const struct boot_info *info)\n{\n    (void)info;\n    print("mine\\n");\n}\n'
    )
    image = tmp_path / "mine.elf"
    assert builder().main([str(tmp_path / "mine"), str(image)]) == 0
    assert capsys.readouterr().out == f"{image}\n"
    with GuestSession(str(image)) as session:
        assert session.run(100_000).console == "mine\n"


def test_folder_without_sources_is_no_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert builder().main([str(tmp_path), str(tmp_path / "image.elf")]) == 1
    assert capsys.readouterr().err == (
        f"A program has C or assembly files, and {tmp_path} has none; name another folder.\n"
    )
