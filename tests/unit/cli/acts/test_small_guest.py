from minihv.cli.acts.small_guest import CODE_GPA, CODE_GVA, DATA_GPA, DATA_GVA, GuestMemory, SmallGuest
from minihv.hypervisor.states import VpState
from minihv.paging.access import AccessKind

READ_AND_HALT = bytes.fromhex("488b03f4")


def test_it_executes_its_code_at_its_own_address() -> None:
    with SmallGuest(READ_AND_HALT) as guest:
        guest.partition.gpa_space.write(DATA_GPA, (0x1234).to_bytes(8, "little"))
        guest.hypervisor.run(100)
        assert guest.vp.state is VpState.HALTED
        assert guest.vp.read("rax") == 0x1234
        assert guest.vp.read("rip") == CODE_GVA + len(READ_AND_HALT)


def test_both_stages_use_the_smallest_pages() -> None:
    with SmallGuest(READ_AND_HALT) as guest:
        guest.hypervisor.step(guest.vp)
        found = guest.hypervisor.translate(guest.vp, DATA_GVA, AccessKind.READ)
        assert (found.page_bytes, found.second_page_bytes, found.references) == (4096, 4096, 24)


def test_its_tables_may_say_anything() -> None:
    with SmallGuest(READ_AND_HALT) as guest:
        guest.maps(DATA_GVA + 0x1000, 0xF000_0000)
        guest.vp.write("rbx", DATA_GVA + 0x1000)
        guest.hypervisor.run(100)
        assert guest.vp.state is VpState.SUSPENDED


def test_guest_memory_is_read_and_written_by_gpa() -> None:
    with SmallGuest(READ_AND_HALT) as guest:
        memory = GuestMemory(guest.partition.gpa_space)
        assert memory.read_u64(CODE_GPA) & 0xFFFF_FFFF == int.from_bytes(READ_AND_HALT, "little")
        memory.write_u64(DATA_GPA, 7)
        assert memory.read_u64(DATA_GPA) == 7
        memory.fill_zero(DATA_GPA, 8)
        assert memory.read_u64(DATA_GPA) == 0
