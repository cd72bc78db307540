"""Model-specific registers; numbers and layouts are compared in ``tests/layouts``."""

from minihv.spec.msrs import (
    HypercallRegister,
    Msr,
    OpenSourceGuestOsId,
    ReferenceTscPage,
    SintRegister,
    StarRegister,
    TimerConfig,
)


def test_synthetic_interrupt_sources_have_sixteen_registers() -> None:
    assert Msr.SINT15 - Msr.SINT0 == 15


def test_linux_says_who_it_is() -> None:
    identity = OpenSourceGuestOsId(0x8100_0006_0100_0000)
    assert (identity.open_source, identity.os_type, identity.version) == (True, 1, 0x60100)


def test_hypercall_page_is_named_by_its_page_number() -> None:
    register = HypercallRegister(0x1234_5001)
    assert (register.enable, register.gpn) == (True, 0x12345)


def test_masked_sint_is_the_reset_value() -> None:
    assert int(SintRegister(masked=True)) == 0x10000


def test_timer_of_linux_delivers_to_sint_2() -> None:
    assert int(TimerConfig(enable=True, auto_enable=True, sint=2)) == 0x2_0009


def test_star_holds_both_selectors() -> None:
    star = StarRegister(0x0018_0008_0000_0000)
    assert (star.syscall_selector, star.sysret_selector) == (0x08, 0x18)


def test_reference_page_is_24_bytes() -> None:
    assert len(bytes(ReferenceTscPage.build(sequence=1, scale=2, offset=3))) == 24
