// Loads every register, leaves the straight run in some way, and compares every register.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/page_table.h"
#include "lib/traps.h"
#include <stddef.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R15 = 15, GPR_COUNT };
enum {
    MOST_VPS = 32,
    INT_RETURNS = 0x80,
    LOOP_COUNT = 50000,   // blocks; a turn has fewer
    ALL_FLAGS = 0x200CD5, // ID OF DF SF ZF AF PF CF
    FX_BYTES = 416,       // what FXSAVE fills for certain: control, x87 registers, XMM0-15
    FX_MXCSR_MASK = 28,   // four bytes that are the processor's, not the program's
    FX_REGISTERS = 32,
    FX_XMM = 160,
};

// Bits of what changed: a GPR by its number, then these.
enum { CHANGED_FLAGS = 1 << 16, CHANGED_FX = 1 << 17, CALL_VOLATILE = 0x0F07 };

struct registers {
    uint64_t gpr[GPR_COUNT];
    uint64_t rflags;
    uint64_t padding;
    _Alignas(16) uint8_t fx[512];
};

_Static_assert(offsetof(struct registers, rflags) == 0x80, "around.S reads it there");
_Static_assert(offsetof(struct registers, fx) == 0x90, "around.S reads it there");

typedef void way(void);
void around(const struct registers *before, struct registers *after, way *instruction);
way way_cpuid, way_rdtsc, way_rdmsr, way_wrmsr, way_out, way_in, way_hypercall, way_interrupt;
way way_page_fault, way_store, way_load_cr3, way_loop;

// `may_change` is what the instruction is for. RAX, RCX and RDX are loaded with what it needs.
static const struct {
    const char *name;
    way *instruction;
    uint32_t may_change;
    uint64_t rax, rcx, rdx;
} ways[] = {
    {"CPUID", way_cpuid, 1 << RAX | 1 << RBX | 1 << RCX | 1 << RDX, LEAF_VENDOR, 0, 2},
    {"RDTSC", way_rdtsc, 1 << RAX | 1 << RDX, 0, 1, 2},
    {"RDMSR", way_rdmsr, 1 << RAX | 1 << RDX, 0, MSR_TIME_REF_COUNT, 2},
    {"WRMSR", way_wrmsr, 0, 1, MSR_GUEST_OS_ID, 0xC0000000},
    {"OUT", way_out, 0, 3, 1, 2},
    {"IN", way_in, 1 << RAX, 3, 1, 2},
    {"a hypercall", way_hypercall, CALL_VOLATILE | CHANGED_FLAGS | CHANGED_FX, 0,
     HV_NOTIFY_LONG_SPIN_WAIT | 1 << 16, 1},
    {"an interrupt", way_interrupt, 0, 3, 1, 2},
    {"a page fault", way_page_fault, 1 << RAX, 3, 1, 2},
    {"a store into running code", way_store, 0, 3, 1, 2},
    {"a load of CR3", way_load_cr3, 1 << RAX, 3, 1, 2},
    {"turns of other VPs", way_loop, 1 << RCX, 3, LOOP_COUNT, 2},
};
enum { WAY_COUNT = sizeof(ways) / sizeof(*ways) };

static const uint64_t WINDOW = 0x4000000000;
static struct vp_area areas[MOST_VPS];
static struct registers before[MOST_VPS], after[MOST_VPS];
static _Alignas(4096) uint8_t hypercall_page[4096];
static struct page_tables tables;
static volatile uint32_t changed[WAY_COUNT]; // by any VP
static volatile uint32_t is_ready, done_count;

static uint64_t window_of(uint32_t vp_index)
{
    return WINDOW + vp_index * UINT64_C(4096);
}

static void make_present(struct trap_frame *frame)
{
    (void)frame;
    *page_entry(&tables, read_cr2(), PAGE_4K) |= PAGE_PRESENT;
}

static void return_at_once(struct trap_frame *frame)
{
    (void)frame;
}

// A value for everything, different on each VP, in each round and in each place.
static void fill(struct registers *registers, uint32_t vp_index, uint32_t way_index, bool flags)
{
    const uint64_t seed = (vp_index + 1) * UINT64_C(0x0101010101010101) + way_index;

    for (uint64_t i = 0; i < GPR_COUNT; i++)
        registers->gpr[i] = seed + (i << 56 | i << 8);
    registers->gpr[RAX] = ways[way_index].rax;
    registers->gpr[RCX] = ways[way_index].rcx;
    registers->gpr[RDX] = ways[way_index].rdx;
    registers->gpr[RBX] = (uint64_t)hypercall_page;
    registers->gpr[R15] = window_of(vp_index);
    registers->rflags = RFLAGS_FIXED | (flags ? ALL_FLAGS : 0);
    memset(registers->fx, 0, sizeof(registers->fx));
    registers->fx[0] = 0x7F; // FCW: all masked, 64 bits
    registers->fx[1] = 0x03;
    registers->fx[4] = 0xFF;                                     // FTW: all in use
    registers->fx[24] = 0x80;                                    // MXCSR: all masked
    registers->fx[25] = (uint8_t)(0x1F + 0x20 * (vp_index % 4)); // and a rounding of its own
    for (uint32_t i = 0; i < 8 * 10; i++)
        registers->fx[FX_REGISTERS + i / 10 * 16 + i % 10] = (uint8_t)(seed + i * 3);
    for (uint32_t i = FX_XMM; i < FX_BYTES; i++)
        registers->fx[i] = (uint8_t)(seed + i * 7);
}

static uint32_t compare(const struct registers *was, const struct registers *is)
{
    uint32_t difference = 0;

    for (uint32_t i = 0; i < GPR_COUNT; i++)
        if (i != RSP && was->gpr[i] != is->gpr[i])
            difference |= 1u << i;
    if (was->rflags != is->rflags)
        difference |= CHANGED_FLAGS;
    if (memcmp(was->fx, is->fx, FX_MXCSR_MASK) != 0 ||
        memcmp(was->fx + FX_REGISTERS, is->fx + FX_REGISTERS, FX_BYTES - FX_REGISTERS) != 0)
        difference |= CHANGED_FX;
    return difference;
}

static void add_locked(volatile uint32_t *counter)
{
    __asm__ volatile("lock add %0, %1" : "+m"(*counter) : "r"(1) : "memory", "cc");
}

static void mark_locked(volatile uint32_t *mask, uint32_t bits)
{
    __asm__ volatile("lock or %0, %1" : "+m"(*mask) : "r"(bits) : "memory", "cc");
}

static void go_all_ways(uint32_t vp_index)
{
    volatile uint64_t *entry = page_entry(&tables, window_of(vp_index), PAGE_4K);

    for (uint32_t i = 0; i < WAY_COUNT; i++) {
        for (uint32_t flags = 2; flags-- > 0;) {
            *entry &= ~PAGE_PRESENT;
            invlpg(window_of(vp_index));
            fill(&before[vp_index], vp_index, i, flags);
            around(&before[vp_index], &after[vp_index], ways[i].instruction);
            mark_locked(&changed[i],
                        compare(&before[vp_index], &after[vp_index]) & ~ways[i].may_change);
        }
    }
    add_locked(&done_count);
}

void other_vp_main(const struct boot_info *info, uint32_t vp_index)
{
    (void)info;
    while (!is_ready)
        pause();
    descriptors_install(&areas[vp_index]);
    go_all_ways(vp_index);
}

void guest_main(const struct boot_info *info)
{
    tables = (struct page_tables){info->root_table, info->paging_levels, info->image_end};
    const uint64_t frame = page_tables_frame(&tables);

    for (uint32_t vp_index = 0; vp_index < info->vp_count; vp_index++)
        map_page(&tables, window_of(vp_index), frame, PAGE_4K, PAGE_WRITABLE);
    set_trap_handler(VECTOR_PF, make_present);
    set_trap_handler(INT_RETURNS, return_at_once);
    descriptors_install(&areas[0]);
    expect_true("the hypercall page is granted", hypercall_page_enable((uint64_t)hypercall_page));
    is_ready = 1;
    go_all_ways(0);
    while (done_count != info->vp_count)
        pause();
    print("What changed beside the result of\n");
    for (uint32_t i = 0; i < WAY_COUNT; i++)
        expect_equal(ways[i].name, changed[i], 0);
}
