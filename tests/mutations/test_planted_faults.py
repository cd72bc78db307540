"""Each fault that is planted in the C core is caught by the tests that are said to catch it.

It is the suite that is tested here: a fault that survives is a test that is missing.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from planted_faults import Fault, FaultyPackage, NotPlanted, faults, including
from source_tree import CORE, ROOT, run

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> FaultyPackage:
    return FaultyPackage(tmp_path_factory.mktemp("planted"))


def each() -> list[Any]:
    """Every fault; all but the quick ones only with ``--long``."""
    return [
        pytest.param(fault, id=fault.means, marks=[] if fault.quick else [pytest.mark.long])
        for fault in faults()
    ]


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.means)
def test_fault_has_its_place_in_the_file_as_it_is(fault: Fault) -> None:
    source = (ROOT / fault.file).read_text()
    assert fault.planted(source) != source
    assert all((ROOT / test.partition("::")[0]).exists() for test in fault.caught_by) and fault.caught_by


def test_each_file_of_the_walks_has_its_faults() -> None:
    files = {Path(fault.file).name for fault in faults()}
    assert files >= {"stage.h", "ways.h", "walk.c", "nested.c", "tables.c", "shadow.c", "shadow_pages.c"}
    assert files >= {"dirty.c", "tlb.c", "tlb_walk.c"}
    assert len({fault.means for fault in faults()}) == len(faults())
    assert 5 <= sum(fault.quick for fault in faults()) <= 8, "a handful is quick"


def test_text_that_is_gone_is_refused() -> None:
    fault = Fault("native/core/src/walk.c", "no such line", "", "nothing", ())
    with pytest.raises(NotPlanted) as refusal:
        fault.planted("int x;")
    assert str(refusal.value) == (
        "A fault replaces text that occurs once, and 'no such line' occurs 0 times in "
        "native/core/src/walk.c: write it anew in faults.toml."
    )


def test_header_is_in_the_files_that_include_it_by_whatever_way() -> None:
    assert {file.name for file in including(CORE / "src" / "walk.c", CORE)} == {"walk.c"}
    assert {file.name for file in including(CORE / "src" / "stage.h", CORE)} >= {
        "walk.c",
        "nested.c",
        "tables.c",
    }
    by_way_of_others = including(CORE / "include" / "minihv" / "walk.h", CORE)
    assert {"walk.c", "translate.c"} <= {file.name for file in by_way_of_others}


@needs_cc
@pytest.mark.slow
def test_sound_core_is_the_one_that_was_built_here_and_passes(
    package: FaultyPackage, request: pytest.FixtureRequest
) -> None:
    show = "import minihv._core; print(minihv._core.__file__)"
    done = run(sys.executable, "-P", "-c", show, env=package.environment())
    assert done.stdout.startswith(str(package.package)), done.stderr
    planted = [fault for fault in faults() if fault.quick or request.config.getoption("--long")]
    failed, said = package.failures(tuple(sorted({test for fault in planted for test in fault.caught_by})))
    assert failed == [], said


@needs_cc
@pytest.mark.slow
@pytest.mark.parametrize("fault", each())
def test_planted_fault_is_caught(package: FaultyPackage, fault: Fault) -> None:
    package.plant(fault)
    try:
        failed, said = package.failures(fault.caught_by)
    finally:
        package.mend(fault)
    assert failed == list(fault.caught_by), f"it survives: {fault.means}\n{said}"
