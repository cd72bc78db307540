// Page tables of x86-64, built by the guest in its own RAM, which is identity-mapped.
//
// Spec: Intel SDM vol. 3A, "4-Level Paging and 5-Level Paging".
#ifndef GUESTS_PAGE_TABLE_H
#define GUESTS_PAGE_TABLE_H
#include <stdint.h>

static const uint64_t PAGE_PRESENT = 1 << 0;
static const uint64_t PAGE_WRITABLE = 1 << 1;
static const uint64_t PAGE_USER = 1 << 2;
static const uint64_t PAGE_ACCESSED = 1 << 5;
static const uint64_t PAGE_DIRTY = 1 << 6;
static const uint64_t PAGE_LARGE = 1 << 7;
static const uint64_t PAGE_NO_EXECUTE = UINT64_C(1) << 63;
static const uint64_t PAGE_RESERVED = UINT64_C(1) << 51; // on a machine with fewer address bits
static const uint64_t PAGE_FRAME = 0x000FFFFFFFFFF000;

// The level of a page's leaf entry.
enum page_level { PAGE_4K = 1, PAGE_2M = 2, PAGE_1G = 3 };

enum page_fault_bit {
    FAULT_PRESENT = 1 << 0,
    FAULT_WRITE = 1 << 1,
    FAULT_USER = 1 << 2,
    FAULT_RESERVED = 1 << 3,
    FAULT_FETCH = 1 << 4,
};

// `next_frame` is where the next table goes; the frames from there on are free and may hold
// anything.
struct page_tables {
    uint64_t root;
    uint32_t levels;
    uint64_t next_frame;
};

// One more zeroed frame.
uint64_t page_tables_frame(struct page_tables *tables);

// Empty tables of `levels` levels, which take their frames from `first_frame` on.
struct page_tables page_tables_create(uint32_t levels, uint64_t first_frame);

// `gva` leads to `gpa` by a page of that level. Entries above the leaf allow writes, and ring 3
// where `flags` do; PAGE_PRESENT is added.
void map_page(struct page_tables *tables, uint64_t gva, uint64_t gpa, uint32_t level,
              uint64_t flags);

// GVA = GPA below `byte_count`, by 2 MiB pages for ring 0.
void map_identity(struct page_tables *tables, uint64_t byte_count);

// The entry for `gva` in its table of `level`, or NULL where the tables end above it.
volatile uint64_t *page_entry(const struct page_tables *tables, uint64_t gva, uint32_t level);

#endif
