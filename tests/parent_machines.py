"""Parent partitions for tests, on machines of their own, and guests that are their children."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from assembler import assemble
from elf_files import READ_WRITE, Elf, Part
from guest_images import builder

from minihv.guests.image import Image, load_image, read_image
from minihv.hypervisor.hypercalls import CALLS
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.partition import Partition
from minihv.machine.shadow import ShadowOptions
from minihv.parent.children import Child
from minihv.parent.partition import ParentPartition, parent_bytes, system_bytes
from minihv.spec.hypercalls import CallCode
from minihv.terms import MIB, Gpa

CHILD_BYTES = 4 * MIB
FINISH = "mov al, 0; out 0xF4, al; 1: hlt; jmp 1b"
NEEDS_COMPILER = not any(shutil.which(name) for name in ("gcc", "clang"))
needs_calls = pytest.mark.skipif(CallCode.CREATE_VP not in CALLS, reason="ring -1 makes no children")
ECHO = """// Sends packets to the parent's echo service, and sleeps until each is back.
#include "lib/boot.h"
#include "lib/descriptors.h"
#include "lib/echo.h"
#include "lib/expect.h"
#include "lib/vmbus.h"

static struct vp_area area;
static struct vmbus_channel channel;
static _Alignas(4096) uint8_t memory[4 * 4096];
static uint8_t body[16];
volatile uint32_t rounds = 1, goes_on; // the test writes them

void guest_main(const struct boot_info *info)
{
    const struct vmbus_rings rings = {memory, 1, 1};
    uint32_t same_count = 0;

    (void)info;
    descriptors_install(&area);
    expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK);
    expect_equal("opening", vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0), rings), VMBUS_OK);
    for (uint32_t round = 0; round < rounds; round++)
        same_count += echo_round_trip(&channel, round, body, sizeof(body)) == VMBUS_OK;
    expect_equal("round trips", same_count, rounds);
    while (goes_on)
        echo_round_trip(&channel, 1, body, sizeof(body));
}
"""


@contextmanager
def booted(*children: int, **machine: Any) -> Iterator[ParentPartition]:
    """A parent that waits for work, with room for children of so many bytes each."""
    sizes = children or (CHILD_BYTES,)
    with Hypervisor(system_bytes(*sizes, shadow=ShadowOptions()), **machine) as hypervisor:
        yield ParentPartition(hypervisor, parent_bytes(*sizes))


@cache
def compiled(source: str) -> Image:
    """The guest program in C that ``source`` is all of."""
    with TemporaryDirectory() as folder:
        Path(folder, "main.c").write_text(source)
        return load_image(builder().build_one(folder, Path(folder, "guest.elf")))


def echo_child(
    parent: ParentPartition, name: str, rounds: int, *, vps: int = 1, forever: bool = False
) -> Child:
    """A child that will send ``rounds`` packets for an echo, and then is done, or goes on. Begin it."""
    image = compiled(ECHO)
    child = parent.create_child(name, CHILD_BYTES, vps, image, start=False)
    for symbol, value in (("rounds", rounds), ("goes_on", forever)):
        child.memory.write(Gpa(image.symbols[symbol]), int(value).to_bytes(4, "little"))
    return child


def assembled(text: str) -> Image:
    """A guest of a few instructions."""
    code = Part(content=assemble(text, 0x10_0000), flags=READ_WRITE | 1)
    return read_image(Elf([code]).build(), "assembled")


def exits_of(partition: Partition) -> dict[int, int]:
    """How often its VPs exited, by exit code; those from 0x400 on begin at 256."""
    totals: dict[int, int] = {}
    for vp in partition.vps:
        for code, count in enumerate(vp.counters.exits):
            if count:
                totals[code] = totals.get(code, 0) + count
    return totals
