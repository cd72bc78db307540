"""The C core runs its tests once more with AddressSanitizer and UndefinedBehaviorSanitizer inside."""

import shutil
import sys
from pathlib import Path

import pytest
from source_tree import ROOT, copy_to, run

# The folders of tests that reach the core most; each example costs more here, so there are fewer.
REACHING_THE_CORE = ["tests/twins", "tests/properties", "tests/unit/paging", "tests/unit/machine"]
# Much Python or engine with a little C, all of which other tests in these folders call too.
HARDLY = (
    *("tlb", "three_walkers", "stepping", "arriving", "determinism", "paging_modes", "address_maps"),
    *("walk_pictures", "synic", "ring_explorer", "ring_attack", "vmbus", "fuzz_targets"),
    *("partition_calls", "killed_children", "storage_vsp", "failing_operations"),
    "killed_writers",
)


def sanitizer(name: str) -> str | None:
    """The path of gcc's run-time library ``name``, where it is installed."""
    found = shutil.which("gcc") and run("gcc", f"-print-file-name={name}").stdout.strip()
    return found if found and Path(found).is_absolute() else None


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which ``minihv`` is a package whose core has the sanitizers inside."""
    libraries = [sanitizer("libasan.so"), sanitizer("libubsan.so")]
    if None in libraries:
        pytest.skip("gcc's sanitizers are not installed")
    source = copy_to(tmp_path_factory.mktemp("sanitized") / "source")
    built = source.parent / "built"
    build = run(
        sys.executable, "setup.py", "-q", "build", f"--build-lib={built}",
        cwd=source, env={"MINIHV_SANITIZE": "1", "CC": "gcc"},
    )  # fmt: skip
    assert build.returncode == 0, build.stderr
    return {
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
        "LD_PRELOAD": " ".join(str(library) for library in libraries),
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(built),
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }


@pytest.mark.slow
def test_sanitized_core_is_the_one_in_use(sanitized: dict[str, str]) -> None:
    show = "import minihv._core; print(minihv._core.__file__); print(open('/proc/self/maps').read())"
    done = run(sys.executable, "-P", "-c", show, env=sanitized)
    assert done.stdout.startswith(sanitized["PYTHONPATH"]), done.stderr
    assert "libasan" in done.stdout


@pytest.mark.slow
def test_core_breaks_no_rule_of_c(sanitized: dict[str, str], tmp_path: Path) -> None:
    folders = [folder for folder in REACHING_THE_CORE if (ROOT / folder).is_dir()]
    assert folders, "no folder of tests that reach the core is left"
    plain = ["-q", "--capture=sys", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"]
    plain += [f"--deselect=tests/properties/test_{name}.py" for name in HARDLY]
    done = run(
        sys.executable, "-P", "-m", "pytest", *plain, "--hypothesis-profile=sanitized", *folders,
        env=sanitized | {"PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[:4000]
