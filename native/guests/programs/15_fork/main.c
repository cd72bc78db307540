// Forks and copies on write: a child gets its parent's tables, and each page only when it writes.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/page_table.h"
#include "lib/traps.h"

enum {
    PAGE_COUNT = 64, // of the parent; its child writes every second one
    FORK_COUNT = 100,
};
static const uint64_t WINDOW = 0x0000008000000000; // what parent and child each have their own of

static struct vp_area area;
static struct page_tables parent;
static struct page_tables child;
static uint64_t frames[PAGE_COUNT]; // the parent's
static uint64_t fault_count;

static volatile uint64_t *page_at(uint32_t page)
{
    return (volatile uint64_t *)(WINDOW + ((uint64_t)page << 12));
}

static void copy_page(uint64_t to, uint64_t from)
{
    for (uint64_t offset = 0; offset < 4096; offset += 8)
        *(volatile uint64_t *)(to + offset) = *(volatile uint64_t *)(from + offset);
}

// A write to a page that is shared: the child gets a copy, the parent takes its frame back.
static void on_write_fault(struct trap_frame *frame)
{
    const uint64_t page = read_cr2() & PAGE_FRAME;
    struct page_tables *tables = read_cr3() == parent.root ? &parent : &child;
    volatile uint64_t *entry = page_entry(tables, page, PAGE_4K);

    if (frame->error_code != (FAULT_PRESENT | FAULT_WRITE))
        shutdown(2);
    if (tables == &child) {
        const uint64_t copy = child.next_frame;
        child.next_frame += 4096;
        copy_page(copy, page);
        *entry = copy | PAGE_PRESENT | PAGE_WRITABLE;
    } else {
        *entry |= PAGE_WRITABLE;
    }
    invlpg(page);
    fault_count++;
}

static void build_parent(const struct boot_info *info)
{
    parent = page_tables_create(info->paging_levels, info->image_end);
    map_identity(&parent, info->memory_bytes);
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        frames[page] = page_tables_frame(&parent);
        map_page(&parent, (uint64_t)page_at(page), frames[page], PAGE_4K, PAGE_WRITABLE);
    }
    write_cr3(parent.root);
}

// From here on neither may write to a page of the window without a fault.
static void fork(void)
{
    child = page_tables_create(parent.levels, parent.next_frame);
    *page_entry(&child, 0, parent.levels) = *page_entry(&parent, 0, parent.levels);
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        *page_entry(&parent, (uint64_t)page_at(page), PAGE_4K) &= ~PAGE_WRITABLE;
        invlpg((uint64_t)page_at(page));
        map_page(&child, (uint64_t)page_at(page), frames[page], PAGE_4K, 0);
    }
}

static uint64_t sum(void)
{
    uint64_t total = 0;

    for (uint32_t page = 0; page < PAGE_COUNT; page++)
        total += *page_at(page);
    return total;
}

void guest_main(const struct boot_info *info)
{
    uint64_t child_sum = 0;

    descriptors_install(&area);
    set_trap_handler(VECTOR_PF, on_write_fault);
    build_parent(info);
    for (uint32_t round = 0; round < FORK_COUNT; round++) {
        fork();
        write_cr3(child.root);
        for (uint32_t page = 0; page < PAGE_COUNT; page += 2)
            *page_at(page) += 1000;
        child_sum += sum();
        write_cr3(parent.root);
        for (uint32_t page = 0; page < PAGE_COUNT; page++)
            *page_at(page) += 1;
    }
    print_decimal(FORK_COUNT);
    print(" forks of ");
    print_decimal(PAGE_COUNT);
    print(" pages\n");
    expect_equal("faults, a copy or a page taken back each", fault_count,
                 FORK_COUNT * (PAGE_COUNT + PAGE_COUNT / 2));
    expect_equal("what the children saw", child_sum,
                 PAGE_COUNT * FORK_COUNT * (FORK_COUNT - 1) / 2 +
                     PAGE_COUNT / 2 * FORK_COUNT * 1000);
    expect_equal("what the parent has, none of the children's", sum(), PAGE_COUNT * FORK_COUNT);
}
