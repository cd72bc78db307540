"""The book lists every fault that is planted, with the files of the tests that catch it."""

import planted_faults
import planted_faults_table


def test_book_and_suite_read_one_table() -> None:
    assert planted_faults_table.TABLE == planted_faults.TABLE
    assert len(planted_faults_table.faults()) == len(planted_faults.faults())


def test_tests_are_named_by_their_file_and_once() -> None:
    assert planted_faults_table.names(["a.py::test_x", "a.py::test_y", "b.py"]) == ["a.py", "b.py"]
