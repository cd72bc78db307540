"""CPUID: the tables, and what a guest reads of them."""

import pytest
from machines import SmallMachine

from minihv.hypervisor import cpuid
from minihv.hypervisor.privileges import CHILD, NONE, PARENT, Privilege
from minihv.machine.processor import PagingMode
from minihv.spec.cpuid import (
    ExtendedEcx,
    ExtendedEdx,
    FeaturesEcx,
    FeaturesEdx,
    HypervisorLeaf,
    Leaf,
    StructuredEbx,
    StructuredEcx,
)

HIDDEN_ECX = (
    FeaturesEcx.MONITOR, FeaturesEcx.FMA, FeaturesEcx.XSAVE, FeaturesEcx.OSXSAVE,
    FeaturesEcx.AVX, FeaturesEcx.F16C, FeaturesEcx.RDRAND,
)  # fmt: skip
HIDDEN_EDX = (FeaturesEdx.VME, FeaturesEdx.MCE, FeaturesEdx.MTRR, FeaturesEdx.MCA)
HIDDEN_EBX = (
    StructuredEbx.FSGSBASE, StructuredEbx.AVX2, StructuredEbx.INVPCID, StructuredEbx.RDSEED,
)  # fmt: skip
ASK = "cpuid; mov esi, eax; mov edi, ebx; mov r8d, ecx; mov r9d, edx; hlt"
"""Leaf in EAX, subleaf in ECX; the answer in ESI, EDI, R8D, R9D."""


def hypervisor_leaf(leaf: int, privileges: Privilege = CHILD, *, nested_paging: bool = True) -> cpuid.Leaf:
    return cpuid.hypervisor_leaves(privileges, 2, 3, nested_paging=nested_paging)[leaf]


def asked(leaf: int, subleaf: int = 0, *, vps: int = 1, lps: int = 1, vp: int = 0) -> cpuid.Leaf:
    """What VP ``vp`` of a small machine reads."""
    with SmallMachine(ASK, vps=vps, lps=lps, registers={"rax": leaf, "rcx": subleaf}) as machine:
        machine.run()
        found = machine.partition.vps[vp]
        return found.read("rsi"), found.read("rdi"), found.read("r8"), found.read("r9")


def test_processor_is_an_amd_one_of_seven_standard_leaves() -> None:
    limit, *text = cpuid.processor_leaves(1)[Leaf.VENDOR]
    ebx, ecx, edx = text
    name = b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx))
    assert (limit, name) == (7, b"AuthenticAMD")


def test_brand_string_is_48_bytes_over_three_leaves() -> None:
    leaves = cpuid.processor_leaves(1)
    words = [word for leaf in (Leaf.BRAND_1, Leaf.BRAND_2, Leaf.BRAND_3) for word in leaves[leaf]]
    assert b"".join(word.to_bytes(4, "little") for word in words) == cpuid.BRAND
    assert len(cpuid.BRAND) == 48


@pytest.mark.parametrize("feature", HIDDEN_ECX, ids=str)
def test_feature_that_the_engine_cannot_do_or_does_at_random_is_hidden(feature: FeaturesEcx) -> None:
    assert not cpuid.processor_leaves(1)[Leaf.FEATURES][2] & feature


@pytest.mark.parametrize("feature", HIDDEN_EDX, ids=str)
def test_device_of_the_processor_that_is_not_there_is_hidden(feature: FeaturesEdx) -> None:
    assert not cpuid.processor_leaves(1)[Leaf.FEATURES][3] & feature


@pytest.mark.parametrize("feature", HIDDEN_EBX, ids=str)
def test_structured_feature_that_is_not_offered_is_hidden(feature: StructuredEbx) -> None:
    assert not cpuid.processor_leaves(1)[Leaf.STRUCTURED_FEATURES][1] & feature


def test_features_that_the_walk_models_are_announced() -> None:
    _, ebx, ecx, _ = cpuid.processor_leaves(1)[Leaf.STRUCTURED_FEATURES]
    extended = cpuid.processor_leaves(1)[Leaf.EXTENDED_FEATURES]
    assert ebx & StructuredEbx.SMEP and ebx & StructuredEbx.SMAP and ecx == StructuredEcx.LA57
    assert extended[3] & ExtendedEdx.NX and extended[3] & ExtendedEdx.PAGES_1G
    assert extended[3] & ExtendedEdx.SYSCALL and extended[3] & ExtendedEdx.LONG_MODE


def test_local_apic_is_announced_with_its_msrs() -> None:
    _, _, ecx, edx = cpuid.processor_leaves(1)[Leaf.FEATURES]
    assert ecx & FeaturesEcx.X2APIC and edx & FeaturesEdx.APIC


def test_svm_is_hidden_from_a_guest() -> None:
    leaves = cpuid.processor_leaves(1)
    assert not leaves[Leaf.EXTENDED_FEATURES][2] & ExtendedEcx.SVM and Leaf.SVM not in leaves


def test_addresses_have_40_physical_and_57_linear_bits() -> None:
    assert cpuid.processor_leaves(4)[Leaf.ADDRESS_SIZES] == (57 << 8 | 40, 0, 3, 0)


def test_hypervisor_names_itself_and_its_highest_leaf() -> None:
    assert hypervisor_leaf(HypervisorLeaf.VENDOR) == (0x4000_0006, 0x7263_694D, 0x666F_736F, 0x7648_2074)
    assert hypervisor_leaf(HypervisorLeaf.INTERFACE) == (0x3123_7648, 0, 0, 0)


@pytest.mark.parametrize(
    ("privileges", "shown"),
    [(NONE, (0, 0, 0, 0)), (CHILD, (0xEFF, 0x32, 0, 0xA_0120)), (PARENT, (0xEFF, 0x10F7, 0, 0xA_0120))],
)
def test_feature_leaf_shows_the_privileges_of_the_partition(privileges: Privilege, shown: cpuid.Leaf) -> None:
    assert hypervisor_leaf(HypervisorLeaf.FEATURES, privileges) == shown


def test_frequency_feature_is_shown_only_with_its_privilege() -> None:
    without = CHILD & ~Privilege.ACCESS_FREQUENCY
    assert hypervisor_leaf(HypervisorLeaf.FEATURES, without) == (0x6FF, 0x32, 0, 0xA_0020)


def test_recommendations_are_relaxed_timing_and_never_to_notify_a_spin() -> None:
    assert hypervisor_leaf(HypervisorLeaf.RECOMMENDATIONS) == (0x20, 0xFFFF_FFFF, 0, 0)


def test_limits_are_64_vps_and_the_lps_of_the_machine() -> None:
    assert hypervisor_leaf(HypervisorLeaf.LIMITS) == (64, 3, 0, 0)


@pytest.mark.parametrize(("nested_paging", "shown"), [(True, 0b1010), (False, 0b0010)])
def test_hardware_leaf_tells_of_the_second_level_only_where_it_is_used(
    nested_paging: bool, shown: int
) -> None:
    leaf = hypervisor_leaf(HypervisorLeaf.HARDWARE_FEATURES, nested_paging=nested_paging)
    assert leaf == (shown, 0, 0, 0)


def test_table_counts_the_leaves_of_each_range_up_to_the_highest() -> None:
    table = cpuid.table({0x1: (1, 2, 3, 4), 0x4000_0003: (5, 6, 7, 8), 0x8000_0008: (9, 10, 11, 12)})
    assert list(table.leaf_count) == [2, 4, 9]
    assert [list(table.leaves[at]) for at in (0, 1, 67, 136)] == [
        [0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12],
    ]  # fmt: skip


def test_guest_reads_every_leaf_of_the_table() -> None:
    expected = cpuid.processor_leaves(1) | cpuid.hypervisor_leaves(CHILD, 1, 1, nested_paging=True)
    assert {leaf: asked(leaf) for leaf in expected} == expected


@pytest.mark.parametrize("leaf", [0x8, 0x2, 0x3FFF_FFFF, 0x4000_0007, 0x4000_0100, 0x8000_0009, 0xC000_0000])
def test_guest_reads_zeros_from_a_leaf_that_is_not_there(leaf: int) -> None:
    assert asked(leaf) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("written", "shown"), [([], (0, 0)), ([1], (7600, 0x0006_0001)), ([1, 0], (0, 0)), ([0], (0, 0))]
)
def test_hypervisor_tells_its_version_only_to_a_guest_that_said_who_it_is(
    written: list[int], shown: tuple[int, int]
) -> None:
    writes = "".join(f"mov ecx, 0x40000000; mov eax, {value}; xor edx, edx; wrmsr;" for value in written)
    with SmallMachine(f"{writes} mov eax, 0x40000002; {ASK}", vps=2) as machine:
        machine.run()
        for vp in machine.partition.vps:
            assert (vp.read("rsi"), vp.read("rdi"), vp.read("r8"), vp.read("r9")) == (*shown, 0, 0)


def test_guest_reads_zeros_from_a_further_subleaf() -> None:
    assert asked(Leaf.STRUCTURED_FEATURES, 1) == (0, 0, 0, 0)
    assert asked(Leaf.VENDOR, 1) == cpuid.processor_leaves(1)[Leaf.VENDOR]


def test_guest_sees_the_number_of_its_vp_as_its_apic_id() -> None:
    assert [asked(Leaf.FEATURES, vps=2, vp=index)[1] >> 24 for index in (0, 1)] == [0, 1]


def test_guest_sees_how_many_lps_the_machine_has() -> None:
    assert asked(HypervisorLeaf.LIMITS, lps=5) == (64, 5, 0, 0)


@pytest.mark.parametrize("mode", list(PagingMode))
def test_second_level_is_announced_in_every_mode_that_has_one(mode: PagingMode) -> None:
    registers = {"rax": int(HypervisorLeaf.HARDWARE_FEATURES)}
    with SmallMachine(ASK, paging=mode, registers=registers) as machine:
        machine.run()
        assert machine.vp.read("rsi") == (0b0010 if mode is PagingMode.SHADOW else 0b1010)
