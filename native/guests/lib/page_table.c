// Builds and reads the tables of page_table.h.

#include "lib/page_table.h"
#include "lib/memory.h"
#include <stddef.h>

static volatile uint64_t *entry_in(uint64_t table_gpa, uint64_t gva, uint32_t level)
{
    const uint32_t shift = 12 + 9 * (level - 1);

    return (volatile uint64_t *)table_gpa + (gva >> shift & 0x1FF);
}

uint64_t page_tables_frame(struct page_tables *tables)
{
    const uint64_t frame = tables->next_frame;

    tables->next_frame += 4096;
    memset((void *)frame, 0, 4096);
    return frame;
}

struct page_tables page_tables_create(uint32_t levels, uint64_t first_frame)
{
    struct page_tables tables = {.levels = levels, .next_frame = first_frame};

    tables.root = page_tables_frame(&tables);
    return tables;
}

void map_page(struct page_tables *tables, uint64_t gva, uint64_t gpa, uint32_t level,
              uint64_t flags)
{
    uint64_t table = tables->root;

    for (uint32_t above = tables->levels; above > level; above--) {
        volatile uint64_t *entry = entry_in(table, gva, above);
        if (!(*entry & PAGE_PRESENT))
            *entry = page_tables_frame(tables) | PAGE_PRESENT | PAGE_WRITABLE;
        *entry |= flags & PAGE_USER;
        table = *entry & PAGE_FRAME;
    }
    *entry_in(table, gva, level) = gpa | flags | PAGE_PRESENT | (level > PAGE_4K ? PAGE_LARGE : 0);
}

void map_identity(struct page_tables *tables, uint64_t byte_count)
{
    for (uint64_t gpa = 0; gpa < byte_count; gpa += UINT64_C(2) << 20)
        map_page(tables, gpa, gpa, PAGE_2M, PAGE_WRITABLE);
}

volatile uint64_t *page_entry(const struct page_tables *tables, uint64_t gva, uint32_t level)
{
    volatile uint64_t *entry = entry_in(tables->root, gva, tables->levels);

    for (uint32_t above = tables->levels; above > level; above--) {
        if (!(*entry & PAGE_PRESENT) || (*entry & PAGE_LARGE))
            return NULL;
        entry = entry_in(*entry & PAGE_FRAME, gva, above - 1);
    }
    return entry;
}
