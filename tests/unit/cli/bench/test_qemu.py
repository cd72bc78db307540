"""The kernel for QEMU is what its listing says, at the addresses that it names."""

import struct

import capstone
import pytest

from minihv.cli.bench import qemu
from minihv.cli.bench.exits import HYPERCALL
from minihv.cli.bench.loops import CODE, STRIDE, TIGHT

IMAGE = qemu.kernel(TIGHT, 0x1234)


def disassembled(code: bytes, address: int, mode: int) -> list[str]:
    lines = capstone.Cs(capstone.CS_ARCH_X86, mode).disasm_lite(code, address)
    return [f"{name} {operands}".strip() for _, _, name, operands in lines]


@pytest.mark.parametrize(
    ("lines", "mode"),
    [
        (qemu.TO_LONG_MODE, capstone.CS_MODE_32),
        (qemu.TO_LOOP, capstone.CS_MODE_64),
        (qemu.TO_GUEST, capstone.CS_MODE_64),
        (qemu.RUN_GUEST, capstone.CS_MODE_64),
        (qemu.FROM_LOOP, capstone.CS_MODE_64),
    ],
)
def test_lines_disassemble_to_their_own_text(lines: tuple[tuple[str, str], ...], mode: int) -> None:
    assert disassembled(qemu.assembled(lines), CODE, mode) == [text for _, text in lines]


def test_header_is_found_where_the_specification_looks_for_it() -> None:
    at = qemu.BOOT - CODE
    magic, flags, checksum, header, load, *_, entry = struct.unpack("<8I", IMAGE[at : at + 32])
    assert at < 8192 and at % 4 == 0
    assert (magic + flags + checksum) & 0xFFFF_FFFF == 0
    assert (header, load, entry) == (qemu.BOOT, CODE, qemu.ENTRY_32)


def test_addresses_in_the_code_are_those_of_the_image() -> None:
    text = " ".join(line for _, line in qemu.TO_LONG_MODE + qemu.TO_LOOP + qemu.TO_GUEST)
    for address in (qemu.PML4, qemu.GDT_POINTER, qemu.ENTRY_64, qemu.VMCB, qemu.HOST_SAVE, qemu.RUN, CODE):
        assert f"{address:#x}" in text


@pytest.mark.skipif(qemu.find() is None, reason="qemu-system-x86_64 is not installed")
def test_qemu_executes_the_loop() -> None:
    seconds = qemu.Qemu(str(qemu.find()), TIGHT).seconds(1000)
    assert seconds is not None and seconds > 0


@pytest.mark.skipif(qemu.find() is None, reason="qemu-system-x86_64 is not installed")
@pytest.mark.parametrize("nested", [False, True])
def test_qemu_executes_the_loop_over_small_pages(nested: bool) -> None:
    peer = qemu.Qemu(str(qemu.find()), STRIDE, small_pages=True, nested=nested)
    assert (peer.seconds(1000) or 0) > 0


@pytest.mark.skipif(qemu.find() is None, reason="qemu-system-x86_64 is not installed")
def test_qemu_goes_on_behind_an_exit() -> None:
    peer = qemu.Qemu(str(qemu.find()), HYPERCALL, nested=True)
    assert (peer.seconds(1000) or 0) > 0
