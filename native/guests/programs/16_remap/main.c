// Maps pages on demand and unmaps them again, as a program that asks for memory and gives it back.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/page_table.h"
#include "lib/traps.h"

enum {
    PAGE_COUNT = 64,
    ROUND_COUNT = 150,
};
static const uint64_t WINDOW = 0x0000008000000000;

static struct vp_area area;
static struct page_tables tables;
static uint64_t frames[PAGE_COUNT];
static uint64_t fault_count;
static uint32_t round;

static volatile uint64_t *page_at(uint32_t page)
{
    return (volatile uint64_t *)(WINDOW + ((uint64_t)page << 12));
}

// The frame behind a page is another one in each round, so an old translation would be seen.
static uint64_t frame_of(uint32_t page)
{
    return frames[(page + round) % PAGE_COUNT];
}

static void on_page_fault(struct trap_frame *frame)
{
    const uint64_t gva = read_cr2() & PAGE_FRAME;

    if (frame->error_code & FAULT_PRESENT)
        shutdown(2);
    *page_entry(&tables, gva, PAGE_4K) =
        frame_of((uint32_t)((gva - WINDOW) >> 12)) | PAGE_PRESENT | PAGE_WRITABLE;
    fault_count++;
}

static void unmap(uint32_t page)
{
    *page_entry(&tables, (uint64_t)page_at(page), PAGE_4K) = 0;
    invlpg((uint64_t)page_at(page));
}

static void build(const struct boot_info *info)
{
    tables = page_tables_create(info->paging_levels, info->image_end);
    map_identity(&tables, info->memory_bytes);
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        frames[page] = page_tables_frame(&tables);
        map_page(&tables, (uint64_t)page_at(page), 0, PAGE_4K, 0); // the tables above
        *page_entry(&tables, (uint64_t)page_at(page), PAGE_4K) = 0;
    }
    write_cr3(tables.root);
}

void guest_main(const struct boot_info *info)
{
    uint64_t right_count = 0;

    descriptors_install(&area);
    set_trap_handler(VECTOR_PF, on_page_fault);
    build(info);
    for (round = 0; round < ROUND_COUNT; round++) {
        for (uint32_t page = 0; page < PAGE_COUNT; page++)
            *page_at(page) += page + round;
        for (uint32_t page = 0; page < PAGE_COUNT; page++) {
            right_count += *page_at(page) == *(volatile uint64_t *)frame_of(page);
            unmap(page);
        }
    }
    print_decimal(ROUND_COUNT);
    print(" rounds of ");
    print_decimal(PAGE_COUNT);
    print(" pages\n");
    expect_equal("pages mapped on demand", fault_count, ROUND_COUNT * PAGE_COUNT);
    expect_equal("pages that were the frame they should be", right_count, ROUND_COUNT * PAGE_COUNT);
}
