"""Numbers of a VGA in text mode: where its screen lies, and the registers that move it.

Spec: IBM, "Personal System/2 Hardware Interface Technical Reference": "Video Subsystem", "CRT Controller
    Registers".
Next: ``minihv.devices.emulated.vga_text``
"""

from enum import IntEnum

TEXT_GPA, TEXT_BYTES = 0xB8000, 0x8000
COLUMNS, ROWS, CELL_BYTES = 80, 25, 2
CRTC_PORT, STATUS_PORT = 0x3D4, 0x3DA
CRTC_REGISTERS = 0x19


class Crtc(IntEnum):
    """Registers of the CRT controller that matter to text; each number has two, the upper byte first."""

    START_HIGH = 0x0C
    START_LOW = 0x0D
    CURSOR_HIGH = 0x0E
    CURSOR_LOW = 0x0F


RETRACES = 0x09
"""In the status: the beam goes back, in both directions."""
