"""Which transfer modes there are, and how a device says which one it is in."""

import pytest

from minihv.devices.emulated.transfer_modes import is_dma_mode, is_mode, mode_words


def test_modes_are_those_of_the_table_of_set_features() -> None:
    found = [mode for mode in range(256) if is_mode(mode)]
    assert found == [0, 1, *range(8, 13), *range(0x20, 0x23), *range(0x40, 0x43)]
    assert [mode for mode in found if is_dma_mode(mode)] == [*range(0x20, 0x23), *range(0x40, 0x43)]


@pytest.mark.parametrize(
    ("mode", "words"), [(0x20, (0x0107, 0x0007)), (0x22, (0x0407, 0x0007)), (0x41, (0x0007, 0x0207))]
)
def test_one_mode_is_chosen_at_a_time(mode: int, words: tuple[int, int]) -> None:
    assert mode_words(mode) == words
