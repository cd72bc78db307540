"""``minihv disk attach`` and ``detach``: a disk comes to a guest that runs in another process, or goes.

Stands for: Add-VMHardDiskDrive and Remove-VMHardDiskDrive on a virtual machine that runs.
Simplified: no place among the LUNs can be asked for; the lowest that is free is taken.
First reading: ``change`` (the client's side), then ``carry_out`` (the machine's).
Next: ``minihv.parent.disks``
"""

import os
from pathlib import Path

import msgspec

from minihv.cli.output import print_json
from minihv.cli.top.board import answers, ask
from minihv.cli.top.machine_view import MachineView, virtual_time_ns
from minihv.cli.top.orders import Answer, Order, carry, name
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession
from minihv.parent.disks import Attached, DiskOption
from minihv.parent.session import ParentSession

ATTACHED = {
    "told": "its driver was told.",
    "offered": "the controller is new, and was offered to it.",
    "not listening": "it does not use that controller yet, and finds the disk when it does.",
}
DETACHED = ATTACHED | {"not listening": "it did not use that controller."}
WORDS = {"attach": ("is at", "since", ATTACHED), "detach": ("was at", "until", DETACHED)}
SECOND_NS = 1_000_000_000


class Change(msgspec.Struct, kw_only=True):
    """What is printed of an order that was carried out."""

    verb: str
    file: str
    machine: int
    guest: str
    controller: int
    lun: int
    guest_was: str
    virtual_time_ns: int


def order_for(verb: str, text: str) -> Order:
    """The order that ``FILE`` or ``FILE:CONTROLLER`` asks for; without a controller it is any of SCSI."""
    if verb == "detach":
        return Order(verb=verb, path=os.fsencode(Path(text).absolute()))
    option = DiskOption.parse(text)
    controller = "scsi" if option.path == Path(text) else option.controller
    return Order(verb=verb, path=os.fsencode(option.path.absolute()), controller=controller)


def choose(found: list[MachineView], number: int | None) -> MachineView:
    """The machine that is meant.

    Raises:
        ConfigurationError: none runs, or none of that number, or several and no number was given.
    """
    names = ", ".join(map(name, found))
    if not found:
        raise ConfigurationError(
            "A disk comes to a guest that runs, or leaves it, and no machine runs here: start one by "
            "`minihv run 27_hot_plug --pace` elsewhere."
        )
    if number is None and len(found) > 1:
        raise ConfigurationError(f"A disk is one guest's, and several run: choose by --to, of {names}.")
    machine = next((one for one in found if number in (None, one.pid)), None)
    if machine is None:
        raise ConfigurationError(
            f"A machine is named by its process, and {number} is none that runs: choose of {names}."
        )
    return machine


def change(verb: str, text: str, number: int | None, *, as_json: bool) -> None:
    """``minihv disk attach`` and ``detach``."""
    order = order_for(verb, text)
    machine = choose(answers(ask()), number)
    answer = carry(machine, order)
    file = order.path.decode("utf-8", "replace")
    if as_json:
        print_json(
            Change(
                verb=verb,
                file=file,
                machine=machine.pid,
                guest=machine.guest,
                controller=answer.controller,
                lun=answer.place,
                guest_was=answer.guest_was,
                virtual_time_ns=answer.virtual_time_ns,
            )
        )
        return
    seconds = answer.virtual_time_ns / SECOND_NS
    where, since, words = WORDS[verb]
    print(f"{file} {where} {answer.where} of {name(machine)}, {since} {seconds:.6f} s of its virtual time.")
    print(f"The guest: {words[answer.guest_was]}")


def carry_out(session: GuestSession, order: Order) -> Answer:
    """Does what an order asks of the machine of ``session``, between two of its rounds.

    A request of the guest is done before the next one is looked at, so none is under way then.

    Raises:
        ConfigurationError: it cannot be.
    """
    if not isinstance(session, ParentSession):
        raise ConfigurationError(
            "It is the parent that has the disks of its children, and this machine runs without one: start "
            "it without --no-parent."
        )
    if session.has_ended:
        raise ConfigurationError(
            "Disks come and go while a guest runs, and this one has ended: start it again."
        )
    path, known = Path(os.fsdecode(order.path)), len(session.disks.services)
    if order.verb == "attach":
        found = session.attach_disk(DiskOption(path, order.controller))
    else:
        found = session.detach_disk(path)
    return Answer(
        controller=found.controller,
        place=found.place,
        where=str(found),
        guest_was=how_told(session, found, is_new=len(session.disks.services) > known),
        virtual_time_ns=virtual_time_ns(session.hypervisor),
    )


def how_told(session: ParentSession, found: Attached, *, is_new: bool) -> str:
    """In which way the guest hears of ``found``."""
    if is_new:
        is_connected = session.parent.bus_of(session.child).server.agreement is not None
        return "offered" if is_connected else "not listening"
    controller = session.disks.controllers[found.controller]
    listens = any(one.controller is controller and one.is_ready for one in session.disks.services)
    return "told" if listens else "not listening"
