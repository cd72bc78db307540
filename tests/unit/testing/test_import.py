"""The floor for tests is refused in one sentence where hypothesis is not installed."""

import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_hypothesis_the_refusal_says_what_to_install() -> None:
    done = run("import sys; sys.modules['hypothesis'] = None; import minihv.testing")
    assert done.stderr.splitlines()[-1] == (
        "minihv.errors.MissingPackage: minihv.testing draws page tables with hypothesis, "
        "which is not installed: pip install 'minihv[testing]'."
    )


def test_refusal_is_an_import_error_and_one_of_minihv() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from minihv.errors import MinihvError\n"
        "try:\n    import minihv.testing.worlds\n"
        "except ImportError as refusal:\n    print(isinstance(refusal, MinihvError))"
    )
    assert run(code).stdout == "True\n"


def test_what_else_is_missing_is_not_called_hypothesis() -> None:
    done = run("import sys; sys.modules['numpy'] = None; import minihv.testing")
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of numpy halted")


def test_rest_of_the_package_does_without_hypothesis() -> None:
    done = run("import sys; sys.modules['hypothesis'] = None; import minihv.cli.main")
    assert done.returncode == 0, done.stderr
