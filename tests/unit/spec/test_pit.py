"""The numbers of the 8254, as its data sheet has them."""

from minihv.spec.pit import HZ, PORT, Access, ControlWord, Mode, ReadBack, SpeakerPort


def test_control_words_that_every_system_writes() -> None:
    assert int(ControlWord(counter=0, access=Access.BOTH, mode=Mode.RATE)) == 0x34
    assert int(ControlWord(counter=2, access=Access.BOTH, mode=Mode.TERMINAL_COUNT)) == 0xB0
    word = ReadBack(0xE2)
    assert (word.counters, word.no_count, word.no_status) == (1, True, False)


def test_ports_and_rate_are_those_of_a_pc() -> None:
    assert (PORT, HZ) == (0x40, 1_193_182)
    assert (int(SpeakerPort.GATE), int(SpeakerPort.OUTPUT)) == (0x01, 0x20)
