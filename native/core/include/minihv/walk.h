#ifndef MINIHV_WALK_H
#define MINIHV_WALK_H
#include <stdbool.h>
#include <stdint.h>

// Physical memory from address 0. A read outside gives all ones, a write outside vanishes.
struct mhv_ram {
    uint8_t *bytes;
    uint64_t byte_count; // a multiple of 8
};

enum mhv_access_kind {
    MHV_READ = 0,
    MHV_WRITE = 1,
    MHV_EXECUTE = 2,
};

// Who touches memory, and how.
struct mhv_access {
    uint8_t kind;  // enum mhv_access_kind
    bool user;     // the current privilege level is 3
    bool ac;       // RFLAGS.AC: a supervisor asks to be let through SMAP
    bool implicit; // the processor's own access to a system structure: supervisor, and deaf to AC
};

// The registers that steer one stage of translation: CR3, CR4.LA57, EFER.NXE, CR0.WP,
// CR4.SMEP/SMAP.
struct mhv_paging {
    uint64_t root;         // bits 51:12 are the address of the first table
    uint8_t levels;        // 4 or 5; 0, of the first of two stages: CR0.PG is 0, it has no tables
    uint8_t physical_bits; // width of a physical address, 32 to 52
    bool nxe;
    bool wp;
    bool smep;
    bool smap;
};

enum mhv_walk_outcome {
    MHV_MAPPED = 0,
    MHV_PAGE_FAULT = 1,
    MHV_NOT_CANONICAL = 2,
    MHV_VIOLATION = 3, // the second stage refused
    MHV_EMULATE = 4,   // of mhv_shadow_fill alone: mapped, but ring -1 has to write for the guest
};

// What a walk found. Fields that an outcome does not name are 0.
struct mhv_walk_result {
    uint64_t gpa;               // mapped, violation: what the guest's tables lead to
    uint64_t spa;               // mapped by a second stage: where the byte lies
    uint64_t page_bytes;        // mapped: size of the page in the (guest's) tables
    uint64_t second_page_bytes; // mapped by a second stage: size of the page there
    uint64_t leaf_entry;        // mapped: the entry as it is in memory after the walk
    uint64_t second_leaf_entry;
    uint64_t leaf_pa; // mapped: where that entry lies (an SPA when there is a second stage)
    uint64_t second_leaf_pa;
    uint32_t outcome;     // enum mhv_walk_outcome
    uint32_t references;  // entries read, of both stages; what stopped the walk is the last of them
    uint32_t error_code;  // page fault: what #PF pushes; violation: the same bits for #NPF
    uint8_t level;        // of the last entry in the (guest's) tables: 5 to 1
    uint8_t second_level; // of the last entry in the second stage
    bool on_table;        // violation: on the way to a guest table, not to the final page
    bool readable;        // mapped: what all stages together let the same accessor do
    bool writable;
    bool executable;
    bool user;  // mapped: a user page (U/S set at every level)
    bool dirty; // mapped: D is set in the leaf of every stage
};

// GVA to GPA.
void mhv_walk(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
              struct mhv_access access, struct mhv_walk_result *ret);

// GPA to SPA. `kind` is an enum mhv_access_kind; the outcome is MHV_MAPPED or MHV_VIOLATION.
void mhv_second_walk(const struct mhv_ram *ram, const struct mhv_paging *second, uint64_t gpa,
                     uint8_t kind, struct mhv_walk_result *ret);

// The second-level tables that a walk passed last, from the root (index `levels`) down to `level`.
struct mhv_table_path {
    uint64_t root;
    uint64_t gpa; // that was translated last
    uint64_t tables[6];
    uint64_t rights[6];
    uint32_t level; // of the lowest table in `tables`; 0: there is none
};

// Where a page of the guest's tables lies.
struct mhv_nested_slot {
    uint64_t tag; // number of the guest page, plus 1
    uint64_t spa;
    uint64_t references; // entries that the translation stands for
};

// The lowest table of the guest on the way to 2 MiB of GVAs, and what all tables above it grant.
struct mhv_guest_slot {
    uint64_t tag;   // number of the 2 MiB, plus 1
    uint64_t epoch; // of the cache, when the way was walked
    uint64_t table_spa;
    uint64_t rights;     // AND of the entries above, with bit 63 turned into "execute"
    uint64_t references; // entries read on the way, and for the table itself
};

// What a processor remembers from one TLB miss to the next: of second-stage walks a
// paging-structure cache and a nested TLB, of the guest's walks a paging-structure cache. All zeros
// is empty. Empty it when second-level tables were changed; call mhv_walk_cache_forget when the
// guest invalidates.
struct mhv_walk_cache {
    struct mhv_table_path path;
    struct mhv_nested_slot slots[32];
    struct mhv_paging guest; // whose tables `ways` are of
    uint64_t epoch;
    struct mhv_guest_slot ways[32];
};

// GVA to GPA to SPA, where each table of the guest is itself found through the second stage.
void mhv_nested_walk(const struct mhv_ram *ram, const struct mhv_paging *guest,
                     const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                     struct mhv_walk_result *ret);

// The same, with what earlier walks left in `cache`. The answer and `references` are those of the
// walk without it, as long as nobody changes second-level tables behind its back.
void mhv_nested_walk_cached(const struct mhv_ram *ram, const struct mhv_paging *guest,
                            const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                            struct mhv_walk_cache *cache, struct mhv_walk_result *ret);

// As mhv_walk, with the ways down that earlier walks left in `cache`.
void mhv_walk_cached(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_cache *cache,
                     struct mhv_walk_result *ret);

// The guest has told the processor that its tables may have changed.
void mhv_walk_cache_forget(struct mhv_walk_cache *cache);

// Walks `count` addresses one after the other, in two stages unless `second` is NULL. Returns the
// references of them all: what scans and measurements ask for.
uint64_t mhv_walk_each(const struct mhv_ram *ram, const struct mhv_paging *guest,
                       const struct mhv_paging *second, const uint64_t *gvas, uint64_t count,
                       struct mhv_access access);

#endif
