"""Which exceptions push an error code, and what two of them make."""

import pytest

from minihv.spec.x86_exceptions import (
    NAMES,
    WITH_ERROR_CODE,
    ExceptionClass,
    Meeting,
    SelectorErrorCode,
    Vector,
    class_of,
    meeting,
)


def test_every_exception_has_a_name() -> None:
    assert NAMES.keys() == set(Vector)


def test_exceptions_with_an_error_code_are_those_of_the_manual() -> None:
    assert sorted(WITH_ERROR_CODE) == [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]


def test_divide_error_is_contributory_and_invalid_opcode_benign() -> None:
    assert class_of(Vector.DE) is ExceptionClass.CONTRIBUTORY
    assert class_of(Vector.UD) is ExceptionClass.BENIGN


def test_interrupt_is_benign() -> None:
    assert class_of(0x80) is ExceptionClass.BENIGN


# Intel SDM vol. 3A, "Interrupt 8-Double Fault Exception (#DF)": "Conditions for Generating a Double Fault".
@pytest.mark.parametrize(
    ("first", "second", "becomes"),
    [
        (Vector.UD, Vector.GP, Meeting.SERIAL),
        (Vector.UD, Vector.PF, Meeting.SERIAL),
        (Vector.GP, Vector.UD, Meeting.SERIAL),
        (Vector.GP, Vector.NP, Meeting.DOUBLE_FAULT),
        (Vector.GP, Vector.PF, Meeting.SERIAL),
        (Vector.PF, Vector.UD, Meeting.SERIAL),
        (Vector.PF, Vector.GP, Meeting.DOUBLE_FAULT),
        (Vector.PF, Vector.PF, Meeting.DOUBLE_FAULT),
        (Vector.DF, Vector.GP, Meeting.SHUTDOWN),
        (Vector.DF, Vector.PF, Meeting.SHUTDOWN),
        (Vector.DF, Vector.UD, Meeting.SERIAL),
    ],
)
def test_two_exceptions_meet_as_the_manual_says(first: Vector, second: Vector, becomes: Meeting) -> None:
    assert meeting(first, second) is becomes


def test_selector_error_code_names_the_idt_entry() -> None:
    assert int(SelectorErrorCode(idt=True, index=3)) == 0x1A
