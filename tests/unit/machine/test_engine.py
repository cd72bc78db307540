"""The engine: its release is checked, its absence explained, its functions found."""

import sys
from types import SimpleNamespace

import pytest

from minihv.errors import ConfigurationError
from minihv.machine import engine
from minihv.machine.engine import SUPPORTED, engine_api, engine_message, engine_version, load_library
from minihv.machine.native import ffi

BINDING = "unicorn.unicorn_py3.unicorn"


def test_installed_engine_is_a_supported_one() -> None:
    assert SUPPORTED == ((2, 1, 4), (2, 2, 0))
    assert SUPPORTED[0] <= engine_version() < SUPPORTED[1]


def test_version_is_read_from_the_librarys_word(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(uc_version=lambda _major, _minor: 0x0203_04FF)
    monkeypatch.setattr(engine, "load_library", lambda: library)
    assert engine_version() == (2, 3, 4)


@pytest.mark.parametrize("version", [(1, 0, 3), (2, 0, 1), (2, 1, 3), (2, 2, 0), (3, 0, 0)])
def test_engine_of_another_release_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(engine, "engine_version", lambda: version)
    with pytest.raises(ConfigurationError) as refusal:
        engine_api.__wrapped__()
    assert str(refusal.value) == (
        f"The engine must be Unicorn 2.1.4 or a later 2.1 release, not {'.'.join(map(str, version))}: "
        "run pip install 'unicorn>=2.1.4,<2.2'."
    )


@pytest.mark.parametrize("version", [(2, 1, 4), (2, 1, 5), (2, 1, 255)])
def test_engine_of_a_later_2_1_release_is_taken(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(engine, "engine_version", lambda: version)
    assert engine_api.__wrapped__().open != ffi.NULL


@pytest.mark.parametrize("ask", [load_library, engine_version, engine_api.__wrapped__])
def test_engine_that_is_not_installed_is_refused_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, ask: object
) -> None:
    monkeypatch.setitem(sys.modules, BINDING, None)
    with pytest.raises(ConfigurationError) as refusal:
        ask()  # type: ignore[operator]
    assert str(refusal.value) == (
        f"The engine is the package unicorn, which cannot be imported here (import of {BINDING} halted; "
        "None in sys.modules): run pip install 'unicorn>=2.1.4,<2.2'."
    )
    assert isinstance(refusal.value.__cause__, ImportError)


def test_every_function_of_the_engine_has_an_address_of_its_own() -> None:
    api = engine_api()
    addresses = [int(ffi.cast("uintptr_t", getattr(api, name))) for name, _ in ffi.typeof(api[0]).fields]
    assert 0 not in addresses and len(set(addresses)) == len(addresses)


def test_functions_are_those_of_the_library() -> None:
    major, minor = ffi.new("unsigned int *"), ffi.new("unsigned int *")
    engine_api().version(major, minor)
    assert (major[0], minor[0]) == engine_version()[:2]


def test_table_of_functions_is_made_once() -> None:
    assert engine_api() is engine_api()


@pytest.mark.parametrize(
    ("error", "message"),
    [(0, "OK (UC_ERR_OK)"), (1, "No memory available or memory not present (UC_ERR_NOMEM)")],
)
def test_error_numbers_have_the_engines_words(error: int, message: str) -> None:
    assert engine_message(error) == message
