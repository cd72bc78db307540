"""The machine code of the bench is what its listing says."""

import capstone
import pytest

from minihv.cli.bench import density, exits, loops
from minihv.cli.bench.loops import CODE, Listing

LISTINGS = {
    "alu": loops.ALU,
    "memory": loops.MEMORY,
    "tight": loops.TIGHT,
    "stride": loops.STRIDE,
    "cpuid": exits.CPUID,
    "hypercall": exits.HYPERCALL,
    "rdmsr": exits.RDMSR,
    "density": density.GUEST,
}


def disassembled(code: bytes, address: int = CODE, mode: int = capstone.CS_MODE_64) -> list[str]:
    lines = capstone.Cs(capstone.CS_ARCH_X86, mode).disasm_lite(code, address)
    return [f"{name} {operands}".strip() for _, _, name, operands in lines]


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS.keys())
def test_listing_disassembles_to_its_own_text(listing: Listing) -> None:
    *lines, jump, halt = disassembled(listing.code)
    assert lines == [text for _, text in listing.lines]
    assert (jump.split()[0], halt) == ("jne", "hlt")


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS.keys())
def test_jump_goes_back_to_the_body(listing: Listing) -> None:
    before = len(bytes.fromhex("".join(code for code, _ in listing.before)))
    assert int(disassembled(listing.code)[-2].split()[1], 16) == CODE + before


def test_instructions_of_an_iteration_include_the_counter_and_the_jump() -> None:
    assert (loops.TIGHT.instructions, loops.ALU.instructions) == (3, 242)
