"""The book builds without a warning, and its examples give what it says."""

from pathlib import Path

import pytest
from source_tree import ROOT, run_module


@pytest.fixture(scope="module")
def doctrees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where one build leaves what it read for the next."""
    return tmp_path_factory.mktemp("doctrees")


@pytest.mark.slow
@pytest.mark.parametrize("builder", ["html", "doctest"])
def test_book_builds_without_a_warning(builder: str, doctrees: Path, tmp_path: Path) -> None:
    done = run_module(
        "sphinx", "-W", "--keep-going", "-q", "-b", builder, "-d", doctrees, ROOT / "docs", tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
