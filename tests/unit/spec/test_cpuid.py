"""Leaves of CPUID and their bits."""

from minihv.spec.cpuid import (
    INTERFACE,
    VENDOR,
    ExtendedEcx,
    ExtendedEdx,
    FeaturesEcx,
    FeaturesEdx,
    HardwareFeatures,
    HypervisorLeaf,
    Leaf,
    MiscellaneousFeatures,
    PartitionPrivilege,
    Recommendations,
    StructuredEbx,
    StructuredEcx,
)


def test_hypervisor_is_told_by_bit_31() -> None:
    assert FeaturesEcx.HYPERVISOR == 1 << 31


def test_vendor_is_microsoft_in_three_registers() -> None:
    words = [int.from_bytes(VENDOR[i : i + 4], "little") for i in (0, 4, 8)]
    assert words == [0x7263694D, 0x666F736F, 0x76482074]


def test_interface_is_hv_1() -> None:
    assert int.from_bytes(INTERFACE, "little") == 0x31237648


def test_leaves_of_the_hypervisor_follow_each_other() -> None:
    assert [int(leaf) for leaf in HypervisorLeaf] == list(range(0x40000000, 0x40000007))


def test_recommended_privileges_are_those_of_a_child() -> None:
    child = PartitionPrivilege(0x2FF) | PartitionPrivilege.POST_MESSAGES | PartitionPrivilege.SIGNAL_EVENTS
    assert (int(child) & 0xFFFF_FFFF, int(child) >> 32) == (0x2FF, 0x30)


def test_bits_of_long_mode_are_in_the_extended_leaf() -> None:
    assert Leaf.EXTENDED_FEATURES == 0x80000001
    assert ExtendedEdx.LONG_MODE | ExtendedEdx.NX | ExtendedEdx.SYSCALL == 0x2010_0800
    assert ExtendedEcx.SVM == 4


def test_paging_features_are_in_leaf_7() -> None:
    assert StructuredEbx.SMEP | StructuredEbx.SMAP == 0x10_0080
    assert StructuredEcx.LA57 == 1 << 16


def test_sse2_is_bit_26() -> None:
    assert FeaturesEdx.SSE2 == 1 << 26


def test_second_level_translation_is_told_in_leaf_6() -> None:
    assert HardwareFeatures.SECOND_LEVEL_TRANSLATION == 8
    assert Recommendations.RELAXED_TIMING == 0x20
    assert MiscellaneousFeatures.FREQUENCY_MSRS == 0x100
