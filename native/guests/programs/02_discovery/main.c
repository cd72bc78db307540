// Finds out what it runs on: CPUID leaves, synthetic MSRs, hypercalls, and what is refused.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/hypercall.h"
#include "lib/traps.h"

enum {
    HYPERVISOR_PRESENT = (int)0x80000000, // CPUID leaf 1, ECX bit 31
    FEATURE_HYPERCALL_MSRS = 1 << 5,      // CPUID leaf 0x40000003, EAX
    FEATURE_VP_INDEX = 1 << 6,
    MAY_ASK_FOR_ITS_ID = 1 << 1, // EBX of that leaf
    UNKNOWN_MSR = 0x12345,
    UNKNOWN_CALL = 0x0FFF,
    STATUS_MASK = 0xFFFF,
};

static struct vp_area area;
static _Alignas(4096) uint8_t hypercall_page[4096];
static _Alignas(8) uint64_t partition_id;

static void print_leaf(uint32_t leaf)
{
    const struct cpuid read = cpuid(leaf, 0);
    const uint32_t values[4] = {read.eax, read.ebx, read.ecx, read.edx};

    print("CPUID ");
    print_hex(leaf);
    for (uint32_t i = 0; i < 4; i++) {
        print(" ");
        print_hex(values[i]);
    }
    print("\n");
}

static void look_at_leaves(void)
{
    const struct cpuid vendor = cpuid(LEAF_VENDOR, 0);
    const uint32_t features = cpuid(LEAF_FEATURES, 0).eax;

    expect_true("CPUID says that a hypervisor is present", cpuid(1, 0).ecx & HYPERVISOR_PRESENT);
    for (uint32_t leaf = LEAF_VENDOR; leaf <= LEAF_RECOMMENDATIONS; leaf++)
        print_leaf(leaf);
    expect_true("the hypervisor leaves reach 0x40000005", vendor.eax >= LEAF_LIMITS);
    expect_true("the limits have room for a VP", cpuid(LEAF_LIMITS, 0).eax >= 1);
    expect_equal("vendor \"Micr\"", vendor.ebx, 0x7263694D);
    expect_equal("vendor \"osof\"", vendor.ecx, 0x666F736F);
    expect_equal("vendor \"t Hv\"", vendor.edx, 0x76482074);
    expect_equal("interface \"Hv#1\"", cpuid(LEAF_INTERFACE, 0).eax, 0x31237648);
    expect_true("the partition may use the hypercall MSRs", features & FEATURE_HYPERCALL_MSRS);
    expect_true("the partition may read its VP index", features & FEATURE_VP_INDEX);
}

static void open_hypercall_page(void)
{
    const uint64_t page = (uint64_t)hypercall_page;

    expect_equal("guest OS id at first", rdmsr(MSR_GUEST_OS_ID), 0);
    wrmsr(MSR_HYPERCALL, page | HYPERCALL_ENABLE);
    expect_equal("enable bit without a guest OS id", rdmsr(MSR_HYPERCALL) & HYPERCALL_ENABLE, 0);
    expect_true("the hypercall page is granted", hypercall_page_enable(page));
    expect_equal("guest OS id", rdmsr(MSR_GUEST_OS_ID), GUEST_OS_ID);
    print_leaf(LEAF_VERSION);
    expect_true("hypercall MSR names our page", (rdmsr(MSR_HYPERCALL) & ~UINT64_C(0xFFF)) == page);
}

static void call_the_hypervisor(void)
{
    const bool may_ask = cpuid(LEAF_FEATURES, 0).ebx & MAY_ASK_FOR_ITS_ID;
    const uint64_t status = hypercall(HV_GET_PARTITION_ID, 0, (uint64_t)&partition_id);

    expect_equal("HvGetPartitionId", status & STATUS_MASK, may_ask ? HV_SUCCESS : HV_ACCESS_DENIED);
    expect_equal("it wrote an id", partition_id != 0, may_ask);
    expect_equal("HvGetPartitionId to an address that is no multiple of 8",
                 hypercall(HV_GET_PARTITION_ID, 0, (uint64_t)&partition_id + 4) & STATUS_MASK,
                 may_ask ? HV_INVALID_ALIGNMENT : HV_ACCESS_DENIED);
    expect_equal("HvNotifyLongSpinWait",
                 hypercall(HV_NOTIFY_LONG_SPIN_WAIT | HYPERCALL_FAST, 1, 0) & STATUS_MASK,
                 HV_SUCCESS);
    expect_equal("a call that does not exist", hypercall(UNKNOWN_CALL, 0, 0) & STATUS_MASK,
                 HV_INVALID_HYPERCALL_CODE);
    expect_equal("a call with reserved bits set",
                 hypercall(HV_NOTIFY_LONG_SPIN_WAIT | HYPERCALL_FAST | UINT64_C(1) << 44, 1, 0) &
                     STATUS_MASK,
                 HV_INVALID_HYPERCALL_INPUT);
}

static void read_msr(uint64_t index)
{
    (void)rdmsr((uint32_t)index);
}

static void write_msr(uint64_t index)
{
    wrmsr((uint32_t)index, 1);
}

static void write_byte(uint64_t gva)
{
    *(volatile uint8_t *)gva = 0;
}

static void expect_refusal(const char *name, void (*body)(uint64_t), uint64_t argument)
{
    const struct trap trap = attempt(body, argument);

    expect_trap(name, &trap, (struct expected_trap){.vector = VECTOR_GP});
}

static void be_refused(void)
{
    expect_refusal("reading an MSR that does not exist", read_msr, UNKNOWN_MSR);
    expect_refusal("writing an MSR that does not exist", write_msr, UNKNOWN_MSR);
    expect_refusal("writing the VP index", write_msr, MSR_VP_INDEX);
    expect_refusal("writing the reference counter", write_msr, MSR_TIME_REF_COUNT);
    expect_refusal("writing into the hypercall page", write_byte, (uint64_t)hypercall_page);
}

void guest_main(const struct boot_info *info)
{
    (void)info;
    descriptors_install(&area);
    look_at_leaves();
    expect_equal("VP index", rdmsr(MSR_VP_INDEX), 0);
    const uint64_t before = rdmsr(MSR_TIME_REF_COUNT);
    open_hypercall_page();
    call_the_hypervisor();
    be_refused();
    expect_true("the reference counter went on", rdmsr(MSR_TIME_REF_COUNT) > before);
    wrmsr(MSR_GUEST_OS_ID, 0);
    expect_equal("enable bit after giving up the id", rdmsr(MSR_HYPERCALL) & HYPERCALL_ENABLE, 0);
    expect_equal("the page below is ours again", hypercall_page[0], 0);
}
