import inspect

from minihv import errors
from minihv.errors import MinihvError, nearest


def test_every_refusal_can_be_caught_as_one() -> None:
    raised = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]
    assert len(raised) > 5
    assert all(issubclass(each, MinihvError) for each in raised)


def test_a_misspelt_name_brings_the_nearest_one() -> None:
    assert nearest("01_helo", ["02_discovery", "01_hello"]) == ", did you mean '01_hello'?"


def test_a_name_near_to_none_brings_nothing() -> None:
    assert nearest("zebra", ["01_hello", "02_discovery"]) == ""
