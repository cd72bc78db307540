"""Options that several commands have."""

import pytest
import typer

from minihv.cli.options import whole_number


def test_whole_number_is_a_number() -> None:
    assert whole_number("12") == whole_number(12) == 12


def test_anything_else_is_refused() -> None:
    with pytest.raises(typer.BadParameter) as refused:
        whole_number("many")
    assert str(refused.value) == "a whole number is asked for, not 'many': write 1 or 2."
