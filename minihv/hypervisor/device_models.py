"""Device models inside ring -1: a hook that only a monolithic hypervisor has something at.

Stands for: the place where a monolithic hypervisor calls its drivers and its emulated devices.
Spec: TLFS, "Intercepts": the message and the registers are the same, but nothing carries them.
Simplified: none known.
Next: ``minihv.hypervisor.intercepts``

Nothing stands between ring -1 and a model that is called here. What goes wrong in the model goes wrong in
ring -1: a ``ModelCrash`` ends the machine, where the same model in a worker would end its worker.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from minihv.hypervisor import registers
from minihv.hypervisor.states import Suspension
from minihv.spec.hypercalls import RegisterName

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor


class ModelCrash(Exception):
    """A device model did what no code may do, as its text says. Whatever it runs in ends."""


class DeviceModels(Protocol):
    """The devices of one partition, in ring -1."""

    @property
    def why(self) -> str:
        """Why a VP of the partition cannot go on, once one cannot."""

    def answer(self, kind: int, payload: bytes) -> Mapping[RegisterName, int]:
        """The registers that answer an intercept message; none: the VP cannot go on."""


def answer(
    hypervisor: "Hypervisor", vp: "VirtualProcessor", models: DeviceModels, kind: int, payload: bytes
) -> None:
    """``vp`` goes on with what its devices say to the message, or is suspended for good with their reason."""
    values = models.answer(kind, payload)
    for name, value in values.items():
        registers.write(hypervisor, vp, name, registers.number(value))
    if not values:
        vp.suspend(Suspension.INTERCEPT)
        vp.why = models.why
