"""Guests that are not in the tree: C that knows only the boot contract, compiled here, run as files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import without_shadow

from minihv.guests.session import GuestSession, Report
from minihv.machine.processor import Core, PagingMode

GCC = shutil.which("gcc")
FLAGS = (
    "-std=c11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-static", "-nostdlib", "-mno-red-zone",
    "-mgeneral-regs-only", "-fno-stack-protector", "-fcf-protection=none", "-Wl,-Ttext-segment=0x200000",
    "-Wl,--build-id=none",
)  # fmt: skip

pytestmark = pytest.mark.skipif(GCC is None, reason="gcc is not installed")

OUT = """
static void out(unsigned short port, unsigned char value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
    while (*text)
        out(0xE9, (unsigned char)*text++);
}

static void number(unsigned long value)
{
    if (value >= 10)
        number(value / 10);
    out(0xE9, (unsigned char)('0' + value % 10));
}
"""

COLLATZ = """
void _start(void)
{
    unsigned long longest = 0, most = 0;

    for (unsigned long first = 1; first < 3000; first++) {
        unsigned long steps = 0;
        for (unsigned long n = first; n != 1; steps++)
            n = n % 2 ? 3 * n + 1 : n / 2;
        if (steps > most) {
            most = steps;
            longest = first;
        }
    }
    say("from ");
    number(longest);
    say(" it takes ");
    number(most);
    say(" steps\\n");
    out(0xF4, 0);
    for (;;)
        ;
}
"""

TABLES = """
static unsigned long tables[3][512] __attribute__((aligned(4096)));
static unsigned long page[512] __attribute__((aligned(4096)));

void _start(void)
{
    unsigned long root;
    unsigned long *volatile far = (unsigned long *)0x7F0000005000UL;

    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    ((unsigned long *)root)[254] = (unsigned long)tables[0] | 3;
    tables[0][0] = (unsigned long)tables[1] | 3;
    tables[1][0] = (unsigned long)tables[2] | 3;
    tables[2][5] = (unsigned long)page | 3;
    *far = 4711;
    __asm__ volatile("" : : : "memory");
    number(page[0]);
    say(tables[2][5] & 0x40 ? " dirty\\n" : " clean\\n");
    out(0xF4, 0);
    for (;;)
        ;
}
"""

FAULTS = """
struct gate { unsigned short low, selector, flags, middle; unsigned int high, zero; };
static struct gate idt[256] __attribute__((aligned(16)));
static const struct { unsigned short limit; const struct gate *base; } __attribute__((packed))
    idtr = {sizeof(idt) - 1, idt};

static void caught(unsigned long vector)
{
    say("caught ");
    number(vector);
    out(0xE9, '\\n');
    out(0xF4, 0);
    for (;;)
        ;
}

__attribute__((noreturn)) static void divide_error(void)
{
    caught(0);
    for (;;)
        ;
}

void _start(void)
{
    const unsigned long handler = (unsigned long)divide_error;

    idt[0] = (struct gate){handler & 0xFFFF, 8, 0x8E00, handler >> 16 & 0xFFFF, handler >> 32, 0};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx");
    for (;;)
        ;
}
"""

REWRITES = """
static unsigned char code[16];

void _start(void)
{
    unsigned long sum = 0;

    for (unsigned i = 0; i < 200; i++) {
        code[0] = 0xB8; /* mov eax, i */
        code[1] = (unsigned char)i;
        code[2] = code[3] = code[4] = 0;
        code[5] = 0xC3; /* ret */
        __asm__ volatile("" : : : "memory");
        sum += ((unsigned (*)(void))(void *)code)();
    }
    number(sum);
    out(0xE9, '\\n');
    out(0xF4, 0);
    for (;;)
        ;
}
"""

GUESTS = {
    "collatz": (COLLATZ, "from 2919 it takes 216 steps\n", {}),
    "tables": (TABLES, "4711 dirty\n", {}),
    "faults": (FAULTS, "caught 0\n", {"0": 1}),
    "rewrites": (REWRITES, "19900\n", {}),
}
MODES = [(paging, core) for paging in PagingMode for core in Core]


def compiled(folder: Path, name: str) -> Path:
    """The image of one of the guests."""
    source, image = folder / f"{name}.c", folder / f"{name}.elf"
    source.write_text(OUT + GUESTS[name][0])
    subprocess.run([str(GCC), *FLAGS, "-o", str(image), str(source)], check=True)
    return image


def run(image: Path, paging: PagingMode, core: Core) -> Report:
    with GuestSession(str(image), paging=paging, core=core) as session:
        return session.run(5_000_000)


@pytest.mark.parametrize("name", GUESTS)
def test_guest_does_the_same_in_every_mode(name: str, tmp_path: Path) -> None:
    image = compiled(tmp_path, name)
    _, console, exceptions = GUESTS[name]
    for paging, core in MODES:
        report = run(image, paging, core)
        assert (report.stopped, report.exit_status) == ("shutdown", 0), report.why
        assert report.console == console
        assert without_shadow(report.counters.exits) == {"IOIO": len(console) + 1}
        assert report.counters.exceptions == exceptions


def test_same_guest_takes_the_same_time_in_every_mode(tmp_path: Path) -> None:
    image = compiled(tmp_path, "collatz")
    blocks = {run(image, paging, core).counters.blocks for paging, core in MODES}
    assert len(blocks) == 1


def test_guest_with_a_library_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    image = tmp_path / "dynamic"
    subprocess.run([str(GCC), "-o", str(image), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "minihv", "run", str(image)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("minihv: dynamic must be")
    assert done.stderr.count("\n") == 1
