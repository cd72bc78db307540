"""Runs pages of code on a bare engine, in a process of its own that may die of it.

Arguments: a file of two-page records; the engine starts each record at several bytes of its first page.
The process ends with status 0 when the engine has survived all of them.
"""

import sys
from pathlib import Path
from typing import Any

from unicorn import UC_ARCH_X86, UC_HOOK_BLOCK, UC_HOOK_INTR, UC_MODE_64, Uc, UcError
from unicorn.x86_const import (
    UC_X86_REG_RBX,
    UC_X86_REG_RCX,
    UC_X86_REG_RDI,
    UC_X86_REG_RIP,
    UC_X86_REG_RSI,
    UC_X86_REG_RSP,
)

RECORD_BYTES = 2 * 4096
CODE, DATA, DATA_BYTES = 0x10000, 0x100000, 0x10000
NOWHERE = 0x7FFF_0000
STARTS = (0, 1, 2, 3, 2048, 4000, 4095)
BLOCKS = 8


def survive(records: bytes) -> None:
    """Each record has been translated from each start, and as much of it run as came to pass."""
    engine: Any = Uc(UC_ARCH_X86, UC_MODE_64)
    engine.mem_map(CODE, RECORD_BYTES + 4096)
    engine.mem_map(DATA, DATA_BYTES)
    left = 0

    def block(engine: Uc, _address: int, _byte_count: int, _data: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            engine.emu_stop()

    engine.hook_add(UC_HOOK_BLOCK, block)
    engine.hook_add(UC_HOOK_INTR, lambda engine, _number, _data: engine.emu_stop())
    for first in range(0, len(records), RECORD_BYTES):
        for start in STARTS:
            engine.mem_write(CODE, records[first : first + RECORD_BYTES] + b"\xf4" * 64)
            engine.ctl_flush_tb()
            for register in (UC_X86_REG_RBX, UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_RSP):
                engine.reg_write(register, DATA + DATA_BYTES // 2)
            engine.reg_write(UC_X86_REG_RCX, 3)
            engine.reg_write(UC_X86_REG_RIP, CODE + start)
            left = BLOCKS
            try:
                engine.emu_start(CODE + start, NOWHERE)
            except UcError:
                continue


if __name__ == "__main__":
    survive(Path(sys.argv[1]).read_bytes())
