// Several programs take turns: each has tables of its own, and each turn begins with a load of CR3.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/page_table.h"

enum {
    SPACE_COUNT = 8,
    PAGE_COUNT = 4, // of each
    TURN_COUNT = 5000,
    STEP_COUNT = 50, // of work on each page in a turn
};
static const uint64_t WINDOW = 0x0000008000000000; // the same GVA in all, other frames in each

static struct page_tables spaces[SPACE_COUNT];

static volatile uint64_t *page_at(uint32_t page)
{
    return (volatile uint64_t *)(WINDOW + ((uint64_t)page << 12));
}

static void build(const struct boot_info *info)
{
    uint64_t next_frame = info->image_end;

    for (uint32_t space = 0; space < SPACE_COUNT; space++) {
        struct page_tables *tables = &spaces[space];
        *tables = page_tables_create(info->paging_levels, next_frame);
        map_identity(tables, info->memory_bytes);
        for (uint32_t page = 0; page < PAGE_COUNT; page++)
            map_page(tables, (uint64_t)page_at(page), page_tables_frame(tables), PAGE_4K,
                     PAGE_WRITABLE);
        next_frame = tables->next_frame;
    }
}

static void take_turn(void)
{
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        uint64_t state = *page_at(page);
        for (uint32_t step = 0; step < STEP_COUNT; step++)
            state = state * 1664525 + 1013904223;
        *page_at(page) = state;
    }
}

// All pages of a space hold the same, as each began with 0 and had the same turns.
static uint32_t count_equal(uint64_t *ret_digest)
{
    uint32_t equal_count = 0;

    for (uint32_t space = 0; space < SPACE_COUNT; space++) {
        write_cr3(spaces[space].root);
        for (uint32_t page = 0; page < PAGE_COUNT; page++)
            equal_count += *page_at(page) == *page_at(0);
        *ret_digest = *ret_digest * 31 + *page_at(0);
    }
    return equal_count;
}

void guest_main(const struct boot_info *info)
{
    uint64_t digest = 0;

    build(info);
    for (uint32_t turn = 0; turn < TURN_COUNT; turn++) {
        write_cr3(spaces[turn % SPACE_COUNT].root);
        take_turn();
    }
    print_decimal(TURN_COUNT);
    print(" turns of ");
    print_decimal(SPACE_COUNT);
    print(" address spaces\n");
    expect_equal("pages with what their turns made", count_equal(&digest),
                 SPACE_COUNT * PAGE_COUNT);
    expect_equal("digest of all", digest, 0x9fb09690ba07a100);
}
