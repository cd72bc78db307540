"""Interrupts that one VP sends to others: what a write to the interrupt command register does.

Stands for: the APIC bus between the VPs of a partition.
Spec: AMD APM vol. 2, "Interprocessor Interrupts"; Intel SDM vol. 3A, "Interrupt Command Register (ICR)" and
    "Determining IPI Destination".
Simplified: SMI is ignored. An NMI does not wait for the IRET of the one before.
Next: ``minihv.hypervisor.apic_registers``
"""

from typing import TYPE_CHECKING

from minihv.hypervisor import startup
from minihv.hypervisor.apic import FIRST_VECTOR
from minihv.spec.apic import BROADCAST, X2APIC_BROADCAST, DeliveryMode, InterruptCommand, Shorthand

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor


def send(sender: "VirtualProcessor", command: InterruptCommand) -> None:
    """Has the interrupt of ``command`` delivered to every VP that it names.

    A vector below 16 is told to the sender's error status, and nothing is sent.
    """
    mode, vector = command.delivery_mode, command.vector
    if mode in (DeliveryMode.FIXED, DeliveryMode.LOWEST_PRIORITY) and vector < FIRST_VECTOR:
        sender.apic_registers.note_illegal_vector()
        return
    targets = destinations(sender, command)
    if mode == DeliveryMode.LOWEST_PRIORITY and targets:
        targets = [min(targets, key=lambda vp: (vp.apic.ppr >> 4, vp.index))]
    for vp in targets:
        if mode in (DeliveryMode.FIXED, DeliveryMode.LOWEST_PRIORITY):
            vp.apic.request(vector, level=bool(command.level))
        elif mode == DeliveryMode.NMI:
            vp.request_nmi()
        elif mode == DeliveryMode.INIT and vp is sender:
            vp.init_requested = True  # behind the exit of the instruction that asked for it
        elif mode == DeliveryMode.INIT:
            startup.initialize(vp)
        elif mode == DeliveryMode.STARTUP:
            startup.start(vp, vector)


def destinations(sender: "VirtualProcessor", command: InterruptCommand) -> "list[VirtualProcessor]":
    """The VPs that a command names, in the order of their indexes."""
    everybody, shorthand = sender.partition.vps, command.shorthand
    if shorthand == Shorthand.SELF:
        return [sender]
    if shorthand in (Shorthand.ALL, Shorthand.ALL_BUT_SELF):
        return [vp for vp in everybody if vp is not sender or shorthand == Shorthand.ALL]
    x2apic = sender.apic_registers.is_x2apic
    destination = command.destination if x2apic else command.destination >> 24
    if destination == (X2APIC_BROADCAST if x2apic else BROADCAST):
        return list(everybody)
    if not command.logical:
        return [vp for vp in everybody if vp.index == destination]
    return [vp for vp in everybody if vp.apic_registers.answers_to(destination)]
