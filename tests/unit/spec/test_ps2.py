"""The numbers of keyboard and controller, as the technical reference has them."""

from minihv.spec.ps2 import KEYS, Command, KeyboardCommand, Status


def test_commands_and_bits_are_those_of_the_reference() -> None:
    assert (int(Command.SELF_TEST), int(Command.WRITE_CONFIG), int(Command.WRITE_OUTPUT)) == (
        0xAA,
        0x60,
        0xD1,
    )
    assert (int(KeyboardCommand.SET_LEDS), int(KeyboardCommand.IDENTIFY)) == (0xED, 0xF2)
    assert (int(Status.OUTPUT_FULL), int(Status.SYSTEM)) == (1, 4)


def test_no_two_keys_have_a_code_in_common() -> None:
    assert KEYS["a"] == (0x1E, 0x1C) and KEYS["0"] == (0x0B, 0x45) and KEYS["m"] == (0x32, 0x3A)
    for of_set in zip(*KEYS.values(), strict=True):
        assert len(set(of_set)) == len(KEYS)
