// Builds its own page tables, moves onto them, and watches what the processor does with them.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/memory.h"
#include "lib/page_table.h"
#include "lib/rings.h"
#include "lib/traps.h"

typedef void probe(uint64_t gva);

// probes.S, guest.ld
probe probe_read, probe_write, probe_call, probe_read_with_ac;
extern const uint8_t user_read[], user_write[], user_return[], user_text_begin[];

static const uint64_t SMALL = 0x0000008000000000; // GVAs of our choice, each by other tables
static const uint64_t LARGE = 0x0000010000000000;
static const uint64_t HUGE = 0x0000018000000000;
static const uint64_t HIGH = 0xFFFF800000000000; // the upper half of the canonical addresses
static const uint64_t USER = 0x0000020000000000;
static const uint64_t LEAF_BITS = PAGE_ACCESSED | PAGE_DIRTY;

static struct vp_area area;
static struct page_tables tables, others;
static uint64_t frames[2]; // two frames with the words 0xA and 0xB
static struct ring3_state state;

static volatile uint64_t *word(uint64_t gva)
{
    return (volatile uint64_t *)gva;
}

static uint64_t leaf_bits(uint64_t gva, uint32_t level)
{
    return *page_entry(&tables, gva, level) & LEAF_BITS;
}

static void build(const struct boot_info *info)
{
    tables = page_tables_create(info->paging_levels, info->image_end);
    map_identity(&tables, info->memory_bytes);
    for (uint32_t i = 0; i < 2; i++) {
        frames[i] = page_tables_frame(&tables);
        *word(frames[i]) = 0xA + i;
    }
    write_cr3(tables.root);
    expect_true("CR3 holds our root", read_cr3() == tables.root);
}

static void page_sizes(void)
{
    const uint64_t mask_2m = (UINT64_C(2) << 20) - 1;

    map_page(&tables, SMALL, frames[0], PAGE_4K, PAGE_WRITABLE);
    map_page(&tables, LARGE, frames[0] & ~mask_2m, PAGE_2M, PAGE_WRITABLE);
    map_page(&tables, HUGE, 0, PAGE_1G, PAGE_WRITABLE);
    map_page(&tables, HIGH, frames[0], PAGE_4K, PAGE_WRITABLE);
    expect_equal("read through a 4 KiB page", *word(SMALL), 0xA);
    expect_equal("read through a 2 MiB page", *word(LARGE + (frames[0] & mask_2m)), 0xA);
    expect_equal("read through a 1 GiB page", *word(HUGE + frames[0]), 0xA);
    *word(HIGH) = 0x1A;
    expect_equal("written in the upper half, read in the lower", *word(SMALL), 0x1A);
    *word(HUGE + frames[0]) = 0xA;
    expect_equal("written through 1 GiB, read through 2 MiB", *word(LARGE + (frames[0] & mask_2m)),
                 0xA);
}

static void accessed_and_dirty(void)
{
    volatile uint64_t *entry = page_entry(&tables, SMALL, PAGE_4K);

    *entry &= ~LEAF_BITS;
    invlpg(SMALL);
    expect_equal("A and D of a page nobody touched", leaf_bits(SMALL, PAGE_4K), 0);
    (void)*word(SMALL);
    expect_equal("after a read", leaf_bits(SMALL, PAGE_4K), PAGE_ACCESSED);
    *word(SMALL) = 0xA;
    expect_equal("after a write", leaf_bits(SMALL, PAGE_4K), PAGE_ACCESSED | PAGE_DIRTY);
    expect_equal("the tables above have A and no D", *page_entry(&tables, SMALL, 4) & LEAF_BITS,
                 PAGE_ACCESSED);
    *page_entry(&tables, HUGE, PAGE_1G) &= ~LEAF_BITS;
    *page_entry(&tables, LARGE, PAGE_2M) &= ~LEAF_BITS;
    write_cr3(tables.root);
    *word(HUGE + frames[0]) = 0xA;
    (void)*word(LARGE);
    expect_equal("a 1 GiB page after a write", leaf_bits(HUGE, PAGE_1G), LEAF_BITS);
    expect_equal("a 2 MiB page after a read", leaf_bits(LARGE, PAGE_2M), PAGE_ACCESSED);
}

static void changes(void)
{
    *page_entry(&tables, SMALL, PAGE_4K) = frames[1] | PAGE_PRESENT | PAGE_WRITABLE;
    invlpg(SMALL);
    expect_equal("another frame after INVLPG", *word(SMALL), 0xB);
    *page_entry(&tables, SMALL, PAGE_4K) = frames[0] | PAGE_PRESENT | PAGE_WRITABLE;
    write_cr3(read_cr3());
    expect_equal("the first one after a load of CR3", *word(SMALL), 0xA);

    others = page_tables_create(tables.levels, tables.next_frame);
    map_identity(&others, UINT64_C(16) << 20);
    map_page(&others, SMALL, frames[1], PAGE_4K, PAGE_WRITABLE);
    tables.next_frame = others.next_frame;
    write_cr3(others.root);
    expect_equal("the same address in the other tables", *word(SMALL), 0xB);
    write_cr3(tables.root);
    expect_equal("and back", *word(SMALL), 0xA);
}

static void expect_fault(const char *name, probe *body, uint64_t gva, uint64_t error_code)
{
    const struct trap trap = attempt(body, gva);

    expect_trap(name, &trap, (struct expected_trap){.vector = VECTOR_PF, .error_code = error_code});
    if (trap.cr2 != gva)
        expect_equal("CR2", trap.cr2, gva);
}

static void set_flags(uint64_t gva, uint64_t flags)
{
    *page_entry(&tables, gva, PAGE_4K) = frames[0] | PAGE_PRESENT | flags;
    invlpg(gva);
}

static void rights(void)
{
    set_flags(SMALL, 0);
    expect_fault("write of a read-only page", probe_write, SMALL, FAULT_PRESENT | FAULT_WRITE);
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    expect_true("without CR0.WP ring 0 may", !attempt(probe_write, SMALL).taken);
    expect_equal("what it wrote", *word(frames[0]), 0x2A);
    write_cr0(read_cr0() | CR0_WP);
    expect_fault("with it, again not", probe_write, SMALL, FAULT_PRESENT | FAULT_WRITE);

    memcpy((void *)frames[0], user_return, 1); // RET
    expect_true("a page without NX can be called", !attempt(probe_call, SMALL).taken);
    set_flags(SMALL, PAGE_NO_EXECUTE);
    expect_fault("one with NX cannot", probe_call, SMALL, FAULT_PRESENT | FAULT_FETCH);
    *page_entry(&tables, SMALL, 3) |= PAGE_NO_EXECUTE;
    set_flags(SMALL, 0);
    expect_fault("nor one whose table has NX", probe_call, SMALL, FAULT_PRESENT | FAULT_FETCH);
    *page_entry(&tables, SMALL, PAGE_4K) = 0;
    invlpg(SMALL);
    expect_fault("a page that is gone", probe_read, SMALL, 0);
}

static struct trap run_user(const uint8_t *code, uint64_t argument)
{
    state = (struct ring3_state){USER + (uint64_t)(code - user_text_begin), USER, RFLAGS_FIXED,
                                 argument};
    return attempt(enter_ring3_by_iretq, (uint64_t)&state);
}

static void user_and_supervisor(void)
{
    const uint64_t page = USER + 0x1000;

    map_page(&tables, USER, (uint64_t)user_text_begin, PAGE_4K, PAGE_USER);
    map_page(&tables, page, frames[1], PAGE_4K, PAGE_USER | PAGE_WRITABLE);
    const struct trap own = run_user(user_read, page);
    expect_trap("ring 3 reads its page", &own, (struct expected_trap){.vector = 0x80});
    expect_equal("the word there", own.frame.rax, 0xB);
    const struct trap ours = run_user(user_write, HUGE);
    expect_trap("ring 3 writes one of ring 0", &ours,
                (struct expected_trap){VECTOR_PF, FAULT_PRESENT | FAULT_WRITE | FAULT_USER, 0});
    const struct trap read_only = run_user(user_write, USER);
    expect_trap("ring 3 writes its own code", &read_only,
                (struct expected_trap){VECTOR_PF, FAULT_PRESENT | FAULT_WRITE | FAULT_USER, 0});

    const uint64_t code = USER + (uint64_t)(user_return - user_text_begin);
    expect_true("ring 0 may call a page of ring 3", !attempt(probe_call, code).taken);
    write_cr4(read_cr4() | CR4_SMEP | CR4_SMAP);
    expect_fault("not with SMEP", probe_call, code, FAULT_PRESENT | FAULT_FETCH);
    expect_fault("nor read one with SMAP", probe_read, page, FAULT_PRESENT);
    expect_true("but with EFLAGS.AC", !attempt(probe_read_with_ac, page).taken);
    write_cr4(read_cr4() & ~(uint64_t)(CR4_SMEP | CR4_SMAP));
}

void guest_main(const struct boot_info *info)
{
    descriptors_install(&area);
    set_gate(0x80, 3, 0, true);
    build(info);
    page_sizes();
    accessed_and_dirty();
    changes();
    rights();
    user_and_supervisor();
}
