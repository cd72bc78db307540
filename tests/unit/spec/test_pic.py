"""The numbers of the 8259A, as its data sheet and the chipset's have them."""

from minihv.spec.pic import ALWAYS_EDGE, ELCR_PORT, MASTER_PORT, SLAVE_PORT, Icw1, Icw4, Ocw2, Ocw3


def test_command_words_have_the_values_that_every_system_writes() -> None:
    assert Icw1.INIT | Icw1.NEEDS_ICW4 == 0x11 and int(Icw4.X86) == 1 and int(Icw4.AUTO_EOI) == 2
    assert (Ocw2.EOI << 5, Ocw2.SPECIFIC_EOI << 5, Ocw2.ROTATE_ON_EOI << 5) == (0x20, 0x60, 0xA0)
    assert (Ocw3.OCW3 | Ocw3.READ, Ocw3.OCW3 | Ocw3.READ | Ocw3.READ_ISR) == (0x0A, 0x0B)
    assert Ocw3.OCW3 | Ocw3.SET_SPECIAL_MASK | Ocw3.SPECIAL_MASK == 0x68


def test_ports_are_those_of_a_pc() -> None:
    assert (MASTER_PORT, SLAVE_PORT, ELCR_PORT, ALWAYS_EDGE) == (0x20, 0xA0, 0x4D0, 0x2107)
