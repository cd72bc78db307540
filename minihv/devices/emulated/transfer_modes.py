"""The transfer modes of a device on an IDE cable: which there are, and which one is chosen.

Stands for: the timing that a device and its controller agree upon.
Spec: INCITS, "ATA8-ACS", "SET FEATURES", subcommand "Set transfer mode"; "IDENTIFY DEVICE", words 63 and 88.
Simplified: Ultra DMA goes to mode 2, as the PIIX4 does. Every mode is as fast.
Next: ``minihv.devices.emulated.ata_drive``
"""

PIO, MULTIWORD, ULTRA = 0x08, 0x20, 0x40
"""What is added to the number of a mode."""
MODES = {0x00: 2, PIO: 5, MULTIWORD: 3, ULTRA: 3}
"""How many modes there are of each kind; below ``PIO`` are the one of old, and it without IORDY."""
FIRST_MODE = ULTRA | 2
"""What firmware leaves behind."""
CYCLE_NS = 120


def is_mode(mode: int) -> bool:
    """Whether there is this mode, as the count register of SET FEATURES names it."""
    return any(kind <= mode < kind + count for kind, count in MODES.items())


def is_dma_mode(mode: int) -> bool:
    """Whether it is one of DMA; the other ones leave that as it is."""
    return is_mode(mode) and mode >= MULTIWORD


def mode_words(mode: int) -> tuple[int, int]:
    """Words 63 and 88: the modes of multiword and of Ultra DMA, and above them the one that is chosen."""

    def word(kind: int) -> int:
        chosen = mode - kind
        return (1 << MODES[kind]) - 1 | (1 << 8 + chosen if 0 <= chosen < MODES[kind] else 0)

    return word(MULTIWORD), word(ULTRA)
