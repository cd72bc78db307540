"""The switch that has a device model crash at its N-th operation, so that it can be seen who dies with it.

Stands for: a bug in a driver.
Simplified: it happens once: a model that was started anew works.
Next: ``minihv.parent.blast``
"""

import re
from typing import Self

from minihv.errors import ConfigurationError
from minihv.hypervisor.device_models import ModelCrash

FORM = re.compile(r"([a-z][a-z0-9-]*)@(\d{1,9})")


def name_of(model: object) -> str:
    """What people call a chip or a service, in one word."""
    return str(getattr(model, "name", type(model).__name__)).lower().replace(" ", "-")


class CrashSwitch:
    """``device`` crashes at operation ``at``: an access to a port of a chip, or a packet for a service."""

    def __init__(self, device: str, at: int) -> None:
        self.device, self.at = device, at
        self.operations = 0
        self.has_fired = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``DEVICE@N``.

        Raises:
            ConfigurationError: it is none.
        """
        found = FORM.fullmatch(text)
        if found is None or int(found[2]) < 1:
            raise ConfigurationError(
                f"A crash is a device and the number of one of its operations, not {text!r}: write ide@100."
            )
        return cls(found[1], int(found[2]))

    def operate(self, model: object) -> None:
        """``model`` is about to do something.

        Raises:
            ModelCrash: the time has come.
        """
        if self.has_fired or name_of(model) != self.device:
            return
        self.operations += 1
        if self.operations == self.at:
            self.has_fired = True
            raise ModelCrash(f"the device model {self.device} did at operation {self.at} what no code may do")
