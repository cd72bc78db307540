"""The switch lets a device crash at one operation, and never again."""

import pytest

from minihv.devices.crash import CrashSwitch, name_of
from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.synthetic.kvp import Kvp
from minihv.errors import ConfigurationError
from minihv.hypervisor.device_models import ModelCrash


class Clock:
    """A chip without a name of its own, and with nothing to forget."""

    def read(self, _register: int, _byte_count: int, /) -> int:
        return 7

    def write(self, _register: int, _byte_count: int, _value: int, /) -> None: ...


def test_models_are_called_by_one_word() -> None:
    assert [name_of(one) for one in (IdeChannel(), IdeChannel().control, Kvp(), Clock())] == [
        *("ide", "ide", "key-value-exchange", "clock")
    ]


def test_device_crashes_at_its_own_nth_operation_and_never_again() -> None:
    bus, switch, channel = PortBus(), CrashSwitch.parse("ide@3"), IdeChannel()
    channel.connect(bus, (0x1F0, 0x3F6))
    bus.connect(0x70, 1, Clock())
    bus.before = switch.operate
    bus.write(0x1F2, 1, 5)
    assert bus.read(0x70, 1) == 7 and bus.read(0x3F6, 1) == 0xFF
    with pytest.raises(ModelCrash) as crash:
        bus.read(0x1F7, 1)
    assert str(crash.value) == "the device model ide did at operation 3 what no code may do"
    assert bus.read(0x1F7, 1) == 0xFF and (switch.operations, switch.has_fired) == (3, True)


def test_chips_forget_when_power_comes_and_those_with_nothing_to_forget_stay() -> None:
    bus, channel = PortBus(), IdeChannel()
    channel.connect(bus, (0x1F0, 0x3F6))
    bus.connect(0x70, 1, Clock())
    channel.task.device = 0x10
    bus.power_on()
    assert channel.task.device == 0 and [name_of(chip) for chip in bus.chips] == ["ide", "ide", "clock"]


@pytest.mark.parametrize("text", ["ide", "ide@", "@5", "ide@0", "ide@-1", "IDE@1", "ide@1x", ""])
def test_what_is_no_device_and_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        CrashSwitch.parse(text)
    assert str(refusal.value) == (
        f"A crash is a device and the number of one of its operations, not {text!r}: write ide@100."
    )
