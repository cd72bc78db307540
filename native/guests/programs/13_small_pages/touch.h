// Touches many pages in an order that no TLB foresees; the size of the pages is the caller's.
#ifndef GUESTS_TOUCH_H
#define GUESTS_TOUCH_H
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/page_table.h"

enum {
    TOUCH_PAGE_SHIFT = 12,
    TOUCH_PAGE_COUNT = 4096, // 16 MiB in steps of 4 KiB
    TOUCH_COUNT = 160000,
};
static const uint64_t TOUCH_GVA = 0x0000008000000000;
static const uint64_t TOUCH_GPA = UINT64_C(32) << 20;

// One word in each 4 KiB, each at another place of its page.
static inline volatile uint64_t *touch_word(uint64_t page)
{
    return (volatile uint64_t *)(TOUCH_GVA + (page << TOUCH_PAGE_SHIFT)) + (page & 0x1FF);
}

static inline void touch_map(const struct boot_info *info, uint32_t level)
{
    const uint64_t page_bytes = UINT64_C(1) << (TOUCH_PAGE_SHIFT + 9 * (level - 1));
    const uint64_t byte_count = (uint64_t)TOUCH_PAGE_COUNT << TOUCH_PAGE_SHIFT;
    struct page_tables tables = page_tables_create(info->paging_levels, info->image_end);

    map_identity(&tables, info->memory_bytes);
    for (uint64_t offset = 0; offset < byte_count; offset += page_bytes)
        map_page(&tables, TOUCH_GVA + offset, TOUCH_GPA + offset, level, PAGE_WRITABLE);
    write_cr3(tables.root);
}

// Maps 16 MiB by pages of `level`, then adds to words all over them, and looks whether all arrived.
static inline void touch_pages(const struct boot_info *info, uint32_t level)
{
    uint32_t state = 1;
    uint64_t added = 0, found = 0;

    touch_map(info, level);
    for (uint64_t page = 0; page < TOUCH_PAGE_COUNT; page++)
        *touch_word(page) = 0;
    for (uint32_t i = 0; i < TOUCH_COUNT; i++) {
        state = state * 1664525 + 1013904223;
        *touch_word(state >> 20) += state & 0xFFFF;
        added += state & 0xFFFF;
    }
    for (uint64_t page = 0; page < TOUCH_PAGE_COUNT; page++)
        found += *touch_word(page);
    print_decimal(TOUCH_COUNT);
    print(" touches of ");
    print_decimal(TOUCH_PAGE_COUNT);
    print(" places, 4 KiB apart\n");
    expect_equal("what was added is there", found, added);
}

#endif
