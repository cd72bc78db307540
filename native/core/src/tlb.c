// The TLB: what a processor remembers of the tables, and what makes it forget. Twin of
// minihv/paging/tlb.py; read that first.
//
// Spec: AMD APM vol. 2, "Translation-Lookaside Buffer (TLB)"; Intel SDM vol. 3A, "Caching
// Translation Information". Simplified: as the Python twin. The two are held equal by
// tests/twins/test_tlb.py.

#include "tlb_parts.h"

#include <stdlib.h>

enum { GLOBAL = 0x100 };

// 4 KiB, 2 MiB, 1 GiB: what an entry may cover. Each size counts its sets on its own.
static const uint32_t PAGE_SHIFTS[] = {12, 21, 30};
enum { PAGE_SIZES = 3 };

static bool has_bounds(const struct mhv_tlb_shape *shape)
{
    const uint64_t entries = (uint64_t)shape->sets * shape->ways;

    return shape->sets && shape->ways && !(shape->sets & (shape->sets - 1)) &&
           entries <= MHV_TLB_MOST_ENTRIES && shape->pdes <= MHV_TLB_MOST_CACHED &&
           shape->pdptes <= MHV_TLB_MOST_CACHED && shape->pml4es <= MHV_TLB_MOST_CACHED &&
           shape->pml5es <= MHV_TLB_MOST_CACHED && shape->nested <= MHV_TLB_MOST_CACHED;
}

struct mhv_tlb *mhv_tlb_create(const struct mhv_tlb_shape *shape)
{
    const uint32_t ways[MHV_TLB_BANKS] = {shape->ways,   shape->nested, shape->pdes,
                                          shape->pdptes, shape->pml4es, shape->pml5es};
    uint32_t count = 0;

    if (!has_bounds(shape))
        return NULL;
    for (int bank = 0; bank < MHV_TLB_BANKS; bank++)
        count += ways[bank] * (bank == MHV_TLB_PAGES ? shape->sets : 1);
    struct mhv_tlb *tlb = calloc(1, sizeof *tlb + count * sizeof *tlb->entries);
    if (!tlb)
        return NULL;
    count = 0;
    for (int bank = 0; bank < MHV_TLB_BANKS; bank++) {
        const uint32_t sets = bank == MHV_TLB_PAGES ? shape->sets : 1;
        tlb->banks[bank] = (struct mhv_tlb_bank){.begin = count, .sets = sets, .ways = ways[bank]};
        count += ways[bank] * sets;
    }
    return tlb;
}

void mhv_tlb_destroy(struct mhv_tlb *tlb)
{
    free(tlb);
}

// Every field is set one by one: to clear them all first would cost as much as the search.
static inline void answer(const struct mhv_tlb_held *first, const struct mhv_tlb_held *last,
                          uint64_t offset, struct rights rights, struct mhv_walk_result *ret)
{
    const bool nested = last->level != 0;
    const struct rights allowed =
        nested ? user_rights(last->together) : (struct rights){true, true, true};

    ret->outcome = MHV_MAPPED;
    ret->gpa = first->base + offset;
    ret->spa = nested ? last->base + offset : 0;
    ret->page_bytes = UINT64_C(1) << shift_of(first->level);
    ret->second_page_bytes = nested ? UINT64_C(1) << shift_of(last->level) : 0;
    ret->leaf_entry = first->entry;
    ret->second_leaf_entry = nested ? last->entry : 0;
    ret->leaf_pa = first->entry_pa;
    ret->second_leaf_pa = nested ? last->entry_pa : 0;
    ret->error_code = 0;
    ret->level = (uint8_t)first->level;
    ret->second_level = (uint8_t)last->level;
    ret->on_table = false;
    ret->readable = rights.readable && allowed.readable;
    ret->writable = rights.writable && allowed.writable;
    ret->executable = rights.executable && allowed.executable;
    ret->user = first->together & USER;
    ret->dirty = first->entry & (nested ? last->entry : DIRTY) & DIRTY;
}

// The answer of an entry, if it lets the access through. One that does not is dropped.
static inline bool look_up(struct mhv_tlb *tlb, const struct mhv_address_space *space, uint64_t gva,
                           struct mhv_access access, struct mhv_walk_result *ret)
{
    struct mhv_tlb_bank *pages = &tlb->banks[MHV_TLB_PAGES];
    struct mhv_tlb_entry *entry = NULL;

    for (int size = 0; size < PAGE_SIZES && !entry; size++)
        entry = find(tlb, pages, PAGE_SHIFTS[size], gva, space);
    if (!entry)
        return false;
    touch(pages, entry);

    // The rights are those of the page: CR0.WP, SMEP and SMAP are asked here, at each access.
    const struct rights rights = rights_of(&space->guest, entry->first.together, access);
    const bool lets_through = usable(&entry->first, rights, access.kind);
    if (lets_through && (entry->last.level == 0 ||
                         usable(&entry->last, user_rights(entry->last.together), access.kind))) {
        answer(&entry->first, &entry->last, gva & ((UINT64_C(1) << entry->shift) - 1), rights, ret);
        ret->references = 0;
        return true;
    }
    for (int size = 0; size < PAGE_SIZES; size++)
        drop_covering(tlb, pages, PAGE_SHIFTS[size], gva, space);
    return false;
}

// The page has an entry: for as much of it as both stages map in one piece.
static void remember(struct mhv_tlb *tlb, const struct cached_walk *walk)
{
    const struct mhv_address_space *space = walk->space;
    const bool smaller = walk->last.level != 0 && walk->last.level < walk->first.level;
    const uint32_t shift = shift_of(smaller ? walk->last.level : walk->first.level);
    struct mhv_tlb_entry entry = {
        .page = walk->gva >> shift,
        .shift = (uint8_t)shift,
        .space = space->number,
        .partition = space->partition,
        .is_global = space->global_pages && walk->first.entry & GLOBAL,
        .first = walk->first,
        .last = walk->last,
    };

    entry.first.base &= UINT64_MAX << shift;
    entry.last.base &= UINT64_MAX << shift;
    tlb->counters.evictions += insert(tlb, &tlb->banks[MHV_TLB_PAGES], &entry);
}

void mhv_tlb_translate(struct mhv_tlb *tlb, const struct mhv_ram *ram,
                       const struct mhv_address_space *space, uint64_t gva,
                       struct mhv_access access, struct mhv_walk_result *ret)
{
    if (!is_canonical(gva, levels_of(&space->guest))) {
        *ret = (struct mhv_walk_result){.outcome = MHV_NOT_CANONICAL};
        return;
    }
    tlb->counters.accesses++;

    // 1. An entry that covers the address and lets the access through is the answer.
    if (look_up(tlb, space, gva, access, ret)) {
        tlb->counters.hits++;
        return;
    }

    // 2. Else the tables are, and the TLB keeps what they say.
    struct cached_walk walk = {
        .tlb = tlb, .ram = ram, .space = space, .gva = gva, .access = access};
    const bool found = mhv_cached_walk(&walk, ret);
    tlb->counters.misses++;
    tlb->counters.references += walk.references;
    if (!found) {
        tlb->counters.refusals++;
        return;
    }
    remember(tlb, &walk);
    answer(&walk.first, &walk.last, 0, rights_of(&space->guest, walk.first.together, access), ret);
    ret->references = walk.references;
}

void mhv_tlb_translate_each(struct mhv_tlb *tlb, const struct mhv_ram *ram,
                            const struct mhv_address_space *space, const uint64_t *gvas,
                            const struct mhv_access *accesses, uint64_t count,
                            struct mhv_tlb_counters *ret)
{
    const struct mhv_tlb_counters before = tlb->counters;
    struct mhv_walk_result found;

    for (uint64_t i = 0; i < count; i++)
        mhv_tlb_translate(tlb, ram, space, gvas[i], accesses[i], &found);
    ret->accesses = tlb->counters.accesses - before.accesses;
    ret->hits = tlb->counters.hits - before.hits;
    ret->misses = tlb->counters.misses - before.misses;
    ret->references = tlb->counters.references - before.references;
    ret->evictions = tlb->counters.evictions - before.evictions;
    ret->structure_hits = tlb->counters.structure_hits - before.structure_hits;
    ret->nested_hits = tlb->counters.nested_hits - before.nested_hits;
    ret->refusals = tlb->counters.refusals - before.refusals;
}

// What a flush is about. Only what its choice looks at need be set.
struct target {
    uint64_t gva;
    uint64_t number;
    uint32_t partition;
};

typedef bool choice(const struct mhv_tlb_entry *entry, const struct target *target);

static void drop(struct mhv_tlb *tlb, int bank_number, choice *goes, struct target target)
{
    const struct mhv_tlb_bank *bank = &tlb->banks[bank_number];
    struct mhv_tlb_entry *slots = &tlb->entries[bank->begin];

    for (uint32_t slot = 0; slot < bank->sets * bank->ways; slot++)
        if (slots[slot].used && goes(&slots[slot], &target))
            slots[slot].used = 0;
}

static void drop_tables(struct mhv_tlb *tlb, choice *goes, struct target target)
{
    for (int level = MHV_TLB_PDES; level <= MHV_TLB_PML5ES; level++)
        drop(tlb, level, goes, target);
}

static bool of_space(const struct mhv_tlb_entry *entry, const struct target *target)
{
    return answers(entry, target->number, target->partition);
}

static bool of_space_alone(const struct mhv_tlb_entry *entry, const struct target *target)
{
    return of_space(entry, target) && !entry->is_global;
}

static bool of_partition(const struct mhv_tlb_entry *entry, const struct target *target)
{
    return entry->partition == target->partition;
}

static bool of_page(const struct mhv_tlb_entry *entry, const struct target *target)
{
    return of_space(entry, target) && is_of_page(entry, target->gva);
}

static bool of_page_in_partition(const struct mhv_tlb_entry *entry, const struct target *target)
{
    return of_partition(entry, target) && is_of_page(entry, target->gva);
}

void mhv_tlb_flush_page(struct mhv_tlb *tlb, uint64_t number, uint32_t partition, uint64_t gva)
{
    const struct target target = {.gva = gva, .number = number, .partition = partition};

    drop(tlb, MHV_TLB_PAGES, of_page, target);
    drop_tables(tlb, of_space, target);
}

void mhv_tlb_flush_page_everywhere(struct mhv_tlb *tlb, uint32_t partition, uint64_t gva)
{
    const struct target target = {.gva = gva, .partition = partition};

    drop(tlb, MHV_TLB_PAGES, of_page_in_partition, target);
    drop_tables(tlb, of_partition, target);
}

void mhv_tlb_flush_address_space(struct mhv_tlb *tlb, uint64_t number, uint32_t partition)
{
    const struct target target = {.number = number, .partition = partition};

    drop(tlb, MHV_TLB_PAGES, of_space_alone, target);
    drop_tables(tlb, of_space, target);
}

void mhv_tlb_flush_partition(struct mhv_tlb *tlb, uint32_t partition)
{
    const struct target target = {.partition = partition};

    drop(tlb, MHV_TLB_PAGES, of_partition, target);
    drop(tlb, MHV_TLB_NESTED, of_partition, target);
    drop_tables(tlb, of_partition, target);
}

void mhv_tlb_flush_all(struct mhv_tlb *tlb)
{
    for (int bank = 0; bank < MHV_TLB_BANKS; bank++)
        for (uint32_t slot = 0; slot < tlb->banks[bank].sets * tlb->banks[bank].ways; slot++)
            tlb->entries[tlb->banks[bank].begin + slot].used = 0;
}
