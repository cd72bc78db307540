from types import SimpleNamespace

import numpy as np
import pytest

from minihv.cli.acts import pictures
from minihv.cli.acts.small_guest import CODE_GVA, SmallGuest
from minihv.machine.frames import HYPERVISOR, FrameAllocator
from minihv.paging.access import Access, AccessKind, Reference, StageName
from minihv.paging.nested import nested_walk
from minihv.spec.svm_exits import SvmExit


def test_owners_have_names() -> None:
    assert [pictures.owner_name(owner) for owner in (HYPERVISOR, 7, 0)] == [
        "the hypervisor",
        "partition 7",
        "nobody",
    ]


def test_owner_rows_count_frames() -> None:
    frames = FrameAllocator(8)
    frames.allocate(HYPERVISOR, 2)
    frames.allocate(1, 3)
    rows = [line.rsplit(maxsplit=2) for line in pictures.owner_rows(frames, [1])]
    assert [row[1:] for row in rows[1:]] == [["2", "8"], ["3", "12"], ["3", "12"], ["8", "32"]]


def test_map_has_a_sign_for_equal_parts() -> None:
    owners = np.array([HYPERVISOR] + [0] * 7 + [1] * 8, dtype=np.uint16)
    assert pictures.memory_map(owners, columns=4) == ["one sign for each 16 KiB:", "H.11"]


@pytest.mark.parametrize(("owners", "sign"), [({0}, "."), ({0, 3}, "3"), ({1, HYPERVISOR}, "H"), ({12}, "2")])
def test_sign_is_that_of_the_owner(owners: set[int], sign: str) -> None:
    assert pictures.cell_letter(owners) == sign


def test_instruction_is_read_through_the_tables_of_the_guest() -> None:
    with SmallGuest(bytes.fromhex("488b03f4")) as guest:
        shown = pictures.instruction_at(guest.hypervisor, guest.vp)
    assert str(shown) == f"{CODE_GVA:#x}  488b03                mov rax, qword ptr [rbx]"


def test_bytes_that_are_no_instruction_are_said_to_be_none() -> None:
    with SmallGuest(b"\x06") as guest:
        assert pictures.instruction_at(guest.hypervisor, guest.vp).text == "(no instruction)"


def test_instruction_behind_the_end_of_memory_is_none() -> None:
    with SmallGuest(b"\xf4") as guest:
        guest.vp.write("rip", 0x7000_0000)
        shown = pictures.instruction_at(guest.hypervisor, guest.vp)
    assert (shown.code, shown.text) == (b"", "(no instruction)")


def test_intercepts_are_named() -> None:
    control = SimpleNamespace(intercept_instructions1=1 << 18 | 1 << 24, intercept_instructions2=1 << 1)
    assert pictures.intercept_names(control) == ["CPUID", "HLT", "VMMCALL"]


@pytest.mark.parametrize(
    ("code", "info", "meaning"),
    [
        (SvmExit.IOIO, 0xE9 << 16 | 1 << 4, "OUT, 8 bits, port 0xe9"),
        (SvmExit.IOIO, 0x60 << 16 | 1 << 5 | 1, "IN, 16 bits, port 0x60"),
        (SvmExit.IOIO, 0x80 << 16 | 1 << 6, "OUT, 32 bits, port 0x80"),
        (SvmExit.NPF, 1 << 32 | 4, "a read of the page itself: nothing is mapped there"),
        (SvmExit.NPF, 1 << 33 | 7, "a write of a page table: forbidden"),
        (SvmExit.NPF, 1 << 32 | 0x14, "a fetch of the page itself: nothing is mapped there"),
        (SvmExit.HLT, 0, ""),
    ],
)
def test_exit_information_is_explained(code: SvmExit, info: int, meaning: str) -> None:
    assert pictures.exit_meaning(code, info)[0] == meaning


def test_exit_rows_have_numbers_and_names() -> None:
    control = SimpleNamespace(exit_code=SvmExit.HLT, exit_info_1=0, exit_info_2=0x10)
    assert [line.split() for line in pictures.exit_rows(control)] == [
        ["EXITCODE", "0x78", "HLT"],
        ["EXITINFO1", "0x0"],
        ["EXITINFO2", "0x10"],
    ]


def test_paging_of_a_guest_is_what_its_registers_say() -> None:
    with SmallGuest(b"\xf4") as guest:
        paging = pictures.guest_paging(guest.vp)
        assert (paging.root, paging.levels) == (guest.tables.root, 4)
        assert (paging.nxe, paging.wp, paging.smep, paging.smap) == (True, True, False, False)
        assert pictures.second_paging(guest.vp).root == guest.partition.gpa_space.root


def test_grid_has_a_row_for_each_translated_address() -> None:
    seen: list[Reference] = []
    with SmallGuest(b"\xf4") as guest:
        first, second = pictures.guest_paging(guest.vp), pictures.second_paging(guest.vp)
        access = Access(AccessKind.EXECUTE)
        nested_walk(guest.hypervisor.memory, first, second, CODE_GVA, access, seen.append)
    rows = [line.split() for line in pictures.walk_grid(seen)]
    assert rows[1] == ["the", "GPA", "in", "CR3", "1", "2", "3", "4", "5", "guest's", "PML4", "entry"]
    assert rows[-1] == ["the", "GPA", "in", "that", "PT", "entry", "21", "22", "23", "24", "the", "page"]


def test_reference_is_shown_with_its_table_and_its_index() -> None:
    one = Reference(3, StageName.GUEST, 1, 0x5010, 0x1003)
    (line,) = pictures.reference_rows([one])[1:]
    assert line.split() == ["3", "guest", "PT", "0x5000", "2", "0x1003"]
