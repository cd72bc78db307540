// Uses addresses that four levels of page tables cannot name.

#include "lib/boot.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/page_table.h"
#include "lib/traps.h"

static const uint64_t ABOVE_47_BITS = 0x00AB123456789000;
static const uint64_t UPPER_HALF = 0xFF12345678901000;
static const uint64_t NOT_CANONICAL = 0x0100000000000000; // bit 56 is not repeated above

static struct vp_area area;

static void read_word(uint64_t gva)
{
    (void)*(volatile uint64_t *)gva;
}

static void write_word(uint64_t gva)
{
    *(volatile uint64_t *)gva = 1;
}

static void jump_to(uint64_t gva)
{
    ((void (*)(void))gva)();
}

static void map_and_use(struct page_tables *tables, uint64_t gva)
{
    const uint64_t frame = page_tables_frame(tables);

    map_page(tables, gva, frame, PAGE_4K, PAGE_WRITABLE);
    *(volatile uint64_t *)(gva + 8) = gva;
    expect_equal("written there, read at the frame", *(volatile uint64_t *)(frame + 8), gva);
    for (uint32_t level = 5; level > 1; level--)
        expect_equal("A of the table entry", *page_entry(tables, gva, level) & PAGE_ACCESSED,
                     PAGE_ACCESSED);
    expect_equal("D of the page", *page_entry(tables, gva, PAGE_4K) & PAGE_DIRTY, PAGE_DIRTY);
}

static void expect_refusal(const char *name, void (*body)(uint64_t), uint64_t gva,
                           struct expected_trap expected)
{
    const struct trap trap = attempt(body, gva);

    expect_trap(name, &trap, expected);
    if (expected.vector == VECTOR_PF)
        expect_equal("CR2", trap.cr2, gva);
}

void guest_main(const struct boot_info *info)
{
    struct page_tables tables = {info->root_table, info->paging_levels, info->image_end};

    descriptors_install(&area);
    expect_equal("paging levels by the info page", info->paging_levels, 5);
    expect_true("CR4.LA57 is set", read_cr4() & CR4_LA57);
    map_and_use(&tables, ABOVE_47_BITS);
    map_and_use(&tables, UPPER_HALF);

    const struct expected_trap protection = {.vector = VECTOR_GP};
    expect_refusal("read beyond 56 bits", read_word, NOT_CANONICAL, protection);
    expect_refusal("write beyond 56 bits", write_word, ~NOT_CANONICAL, protection);
    expect_refusal("jump beyond 56 bits", jump_to, NOT_CANONICAL, protection);
    expect_refusal("read of an address not mapped", read_word, ABOVE_47_BITS + 0x1000,
                   (struct expected_trap){.vector = VECTOR_PF});
    expect_refusal("write under another entry of level 5", write_word, UINT64_C(1) << 55,
                   (struct expected_trap){.vector = VECTOR_PF, .error_code = FAULT_WRITE});
}
