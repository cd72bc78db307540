#ifndef MINIHV_TLB_H
#define MINIHV_TLB_H
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// A TLB with the caches of the page walker behind it. Twin of minihv/paging/tlb.py, tlb_walk.py and
// tlb_parts.py; read those first.

enum mhv_tlb_limit {
    MHV_TLB_MOST_ENTRIES = 1048576, // sets times ways
    MHV_TLB_MOST_CACHED = 4096,     // of each cache of the walker
};

// How much it holds; a cache of 0 entries is absent.
struct mhv_tlb_shape {
    uint32_t sets; // a power of two
    uint32_t ways;
    uint32_t pdes;   // table entries that the walker remembers, by their level: each saves what is
    uint32_t pdptes; // above it
    uint32_t pml4es;
    uint32_t pml5es;
    uint32_t nested; // pages of guest-physical memory that the walker remembers
};

// The tables in use, and the numbers that say whose entries are whose. `wp`, `smep` and `smap` of
// `guest` may differ from one access to the next. When anything else changes, the caller flushes.
struct mhv_address_space {
    struct mhv_paging guest;
    struct mhv_paging second; // when there are `two_stages`
    bool two_stages;
    bool global_pages;  // CR4.PGE
    uint32_t partition; // as VPID; AMD calls it ASID
    uint64_t number;    // as PCID; the address in CR3 will do
};

// What the tables of one stage led to, for any accessor: a piece of a page, or the next table.
struct mhv_tlb_held {
    uint64_t base;     // where it begins
    uint64_t entry;    // the entry that names it
    uint64_t entry_pa; // where that lies
    uint64_t together; // W, U, and "may be executed" in bit 63: what all levels grant
    uint32_t level;    // of the entry; 0: nothing is held
};

struct mhv_tlb_entry {
    uint64_t page;  // the address without the lowest `shift` bits
    uint64_t used;  // the clock of the bank when it was; 0: the slot is free
    uint64_t space; // number of the address space
    uint32_t partition;
    uint8_t shift;
    bool is_global;            // it answers every address space of its partition
    struct mhv_tlb_held first; // the guest's leaf; in a paging-structure cache, a table
    struct mhv_tlb_held last;  // the leaf of the second stage, if there is one
};

// Banks of entries. A paging-structure cache has the level of the entries in it as its number.
enum mhv_tlb_bank_number {
    MHV_TLB_PAGES = 0,
    MHV_TLB_NESTED = 1,
    MHV_TLB_PDES = 2,
    MHV_TLB_PDPTES = 3,
    MHV_TLB_PML4ES = 4,
    MHV_TLB_PML5ES = 5,
    MHV_TLB_BANKS = 6,
};

struct mhv_tlb_bank {
    uint32_t begin; // of its slots in `entries`: set after set
    uint32_t sets;
    uint32_t ways;
    uint64_t clock; // ticks at each use of an entry
};

struct mhv_tlb_counters {
    uint64_t accesses; // hits and misses
    uint64_t hits;
    uint64_t misses;
    uint64_t references;     // entries of tables that were really read
    uint64_t evictions;      // entries of the TLB that gave way to others
    uint64_t structure_hits; // walks of the guest's tables that began below the root
    uint64_t nested_hits;    // guest-physical addresses that needed no walk of the second stage
    uint64_t refusals;       // misses that ended in a page fault or a violation
};

// All of its state lies in this one block of memory.
struct mhv_tlb {
    struct mhv_tlb_counters counters;
    struct mhv_tlb_bank banks[6]; // enum mhv_tlb_bank_number
    struct mhv_tlb_entry entries[];
};

// An empty TLB. NULL: there is none of that shape, or no memory for it.
struct mhv_tlb *mhv_tlb_create(const struct mhv_tlb_shape *shape);
void mhv_tlb_destroy(struct mhv_tlb *tlb);

// What mhv_walk or mhv_nested_walk would answer; `references` are those that were really read.
void mhv_tlb_translate(struct mhv_tlb *tlb, const struct mhv_ram *ram,
                       const struct mhv_address_space *space, uint64_t gva,
                       struct mhv_access access, struct mhv_walk_result *ret);

// Translates `count` addresses, each with its access. `ret` is what that counted.
void mhv_tlb_translate_each(struct mhv_tlb *tlb, const struct mhv_ram *ram,
                            const struct mhv_address_space *space, const uint64_t *gvas,
                            const struct mhv_access *accesses, uint64_t count,
                            struct mhv_tlb_counters *ret);

// INVLPG: the page of `gva` with all its pieces, be it global, and every table on the way to
// anything.
void mhv_tlb_flush_page(struct mhv_tlb *tlb, uint64_t number, uint32_t partition, uint64_t gva);

// INVLPGA, whose ASID is the partition: as INVLPG in each of its address spaces.
void mhv_tlb_flush_page_everywhere(struct mhv_tlb *tlb, uint32_t partition, uint64_t gva);

// A write to CR3: all of the address space that is not global.
void mhv_tlb_flush_address_space(struct mhv_tlb *tlb, uint64_t number, uint32_t partition);

// CR4.PGE turned over, another nested CR3, changed tables behind it: all of the partition.
void mhv_tlb_flush_partition(struct mhv_tlb *tlb, uint32_t partition);

// Everything of everybody.
void mhv_tlb_flush_all(struct mhv_tlb *tlb);

#endif
