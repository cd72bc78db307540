"""The student's walk of the book has three faults; each is found, named, and mended as the book says."""

import pytest
import student_walk

from minihv.testing import Agreement

Story = tuple[list[student_walk.Round], str, Agreement]


@pytest.fixture(scope="module")
def story() -> Story:
    return student_walk.rounds()


def test_each_of_the_three_faults_gets_a_report(story: Story) -> None:
    failed, _, _ = story
    assert len(failed) == len(student_walk.fixes()) == 3
    assert len({each.fix.forgot for each in failed}) == 3


def test_report_names_one_page_on_the_way_to_which_the_fault_is(story: Story) -> None:
    for each in story[0]:
        tables = each.report.split("\n\n")[2].splitlines()[1:]
        assert 1 <= len(tables) <= 5, each.report


def test_fix_is_shown_as_the_lines_that_change(story: Story) -> None:
    for each in story[0]:
        assert any(line.startswith("+ ") for line in each.diff.splitlines())
        assert not each.diff.startswith("---")


def test_mended_walk_passes_and_has_met_every_page_size(story: Story) -> None:
    _, source, passed = story
    assert "rights &= entry" in source
    assert all(passed.shares.share(f"mapped: {size}") > 0.01 for size in ("4 KiB", "2 MiB", "1 GiB"))
