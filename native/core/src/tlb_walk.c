// A page walk that remembers. Twin of minihv/paging/tlb_walk.py.
//
// Spec: Intel SDM vol. 3A, "Paging-Structure Caches"; AMD APM vol. 2, "Nested Paging". Simplified:
// as the Python twin. The two are held equal by tests/twins/test_tlb.py.

#include "tlb_parts.h"

// Where the guest's part of a walk began, and each table entry that it passed since, by level.
struct way {
    uint32_t from;
    struct mhv_tlb_held tables[6];
};

// The lowest table on the way that is remembered; else the root, where `stage` is already.
static bool begin_at_nearest_table(struct cached_walk *walk, struct stage *stage)
{
    struct mhv_tlb *tlb = walk->tlb;

    for (uint32_t level = 2; level <= levels_of(&walk->space->guest); level++) {
        struct mhv_tlb_bank *bank = &tlb->banks[level];
        struct mhv_tlb_entry *entry = find(tlb, bank, 0, walk->gva, walk->space);
        if (!entry)
            continue;
        touch(bank, entry);
        tlb->counters.structure_hits++;
        walk->trusted = true;
        stage->level = level - 1;
        stage->table = entry->first.base;
        stage->rights = entry->first.together;
        return true;
    }
    return false;
}

// Each entry that was passed leads to the table in which the next one lies.
static void remember_tables(struct cached_walk *walk, const struct way *way)
{
    for (uint32_t level = way->from; level > walk->first.level; level--) {
        struct mhv_tlb_bank *bank = &walk->tlb->banks[level];
        if (bank->ways == 0)
            continue;
        const struct mhv_tlb_entry entry = {
            .page = walk->gva >> shift_of(level),
            .shift = (uint8_t)shift_of(level),
            .space = walk->space->number,
            .partition = walk->space->partition,
            .first = way->tables[level],
        };
        insert(walk->tlb, bank, &entry);
    }
}

static void remember_spa(struct cached_walk *walk, uint64_t gpa, const struct mhv_tlb_held *leaf)
{
    struct mhv_tlb_bank *nested = &walk->tlb->banks[MHV_TLB_NESTED];
    if (nested->ways == 0)
        return;
    struct mhv_tlb_entry entry = {
        .page = gpa >> shift_of(leaf->level),
        .shift = (uint8_t)shift_of(leaf->level),
        .partition = walk->space->partition,
        .is_global = true,
        .last = *leaf,
    };

    entry.last.base &= UINT64_MAX << entry.shift;
    drop_covering(walk->tlb, nested, 0, gpa, walk->space);
    insert(walk->tlb, nested, &entry);
}

// Where `gpa` lies: from the nested cache, or by a walk of the second stage. False: it refuses.
static bool reach_spa(struct cached_walk *walk, uint64_t gpa, uint8_t kind,
                      struct mhv_tlb_held *leaf, struct mhv_walk_result *ret)
{
    struct mhv_tlb_bank *nested = &walk->tlb->banks[MHV_TLB_NESTED];
    struct mhv_tlb_entry *entry =
        walk->trusts ? find(walk->tlb, nested, 0, gpa, walk->space) : NULL;

    if (entry && usable(&entry->last, user_rights(entry->last.together), kind)) {
        touch(nested, entry);
        walk->tlb->counters.nested_hits++;
        walk->trusted = true;
        *leaf = entry->last;
        leaf->base += gpa & ((UINT64_C(1) << entry->shift) - 1);
        return true;
    }
    mhv_second_walk(walk->ram, &walk->space->second, gpa, kind, ret);
    walk->references += ret->references;
    if (ret->outcome != MHV_MAPPED)
        return false;
    *leaf = (struct mhv_tlb_held){
        .base = ret->spa,
        .entry = ret->second_leaf_entry,
        .entry_pa = ret->second_leaf_pa,
        .together = USER | (ret->writable ? WRITABLE : 0) | (ret->executable ? NO_EXECUTE : 0),
        .level = ret->second_level,
    };
    remember_spa(walk, gpa, leaf);
    return true;
}

static bool page_fault(struct cached_walk *walk, const struct stage *stage, uint32_t refusal,
                       struct mhv_walk_result *ret)
{
    *ret = (struct mhv_walk_result){.outcome = MHV_PAGE_FAULT};
    ret->level = (uint8_t)stage->level;
    ret->references = walk->references;
    ret->error_code = fault_code(&walk->space->guest, walk->access, refusal);
    return false;
}

static bool violation(struct cached_walk *walk, uint32_t level, bool on_table,
                      struct mhv_walk_result *ret)
{
    ret->level = (uint8_t)level;
    ret->on_table = on_table;
    ret->references = walk->references;
    return false;
}

// Down through the guest's tables. The table where a walk begins is known where it lies, unless it
// is the root of a guest; those below are found through the second stage.
static bool walk_guest(struct cached_walk *walk, struct way *way, struct mhv_walk_result *ret)
{
    struct mhv_tlb_held reached = {0};
    struct stage stage;
    enum step step;

    stage_begin(&stage, &walk->space->guest);
    bool is_spa = begin_at_nearest_table(walk, &stage) || !walk->space->two_stages;
    way->from = stage.level;
    do {
        const uint32_t level = stage.level;
        reached.base = entry_address(&stage, walk->gva);
        if (!is_spa && !reach_spa(walk, reached.base, MHV_WRITE, &reached, ret))
            return violation(walk, level, true, ret);
        if (level < way->from)
            way->tables[level + 1].base = reached.base & FRAME;
        is_spa = !walk->space->two_stages;
        step = stage_step(*walk->ram, &stage, reached.base);
        walk->references++;
        way->tables[level] = (struct mhv_tlb_held){
            .entry = stage.entry,
            .entry_pa = reached.base,
            .together = stage.rights,
            .level = level,
        };
    } while (step == DOWN);

    const struct rights rights = rights_of(&walk->space->guest, stage.rights, walk->access);
    if (step == FAULT || !may(rights, walk->access.kind))
        return page_fault(walk, &stage, step == FAULT ? stage.refusal : PF_PRESENT, ret);
    mark_leaf(*walk->ram, &stage, reached.base, walk->access.kind);
    walk->first = way->tables[stage.level];
    walk->first.entry = stage.entry;
    walk->first.base = leaf_target(&stage, walk->gva);
    return true;
}

static bool walk_once(struct cached_walk *walk, struct mhv_walk_result *ret)
{
    struct way way;

    // 1. Down from the nearest table.
    if (!walk_guest(walk, &way, ret))
        return false;

    // 2. The page itself.
    walk->last.level = 0;
    if (walk->space->two_stages &&
        !reach_spa(walk, walk->first.base, walk->access.kind, &walk->last, ret))
        return violation(walk, walk->first.level, false, ret);

    // 3. What was passed on the way need not be read again.
    remember_tables(walk, &way);
    return true;
}

bool mhv_cached_walk(struct cached_walk *walk, struct mhv_walk_result *ret)
{
    walk->references = 0;
    walk->trusts = true;
    walk->trusted = false;
    if (walk_once(walk, ret))
        return true;
    if (!walk->trusted)
        return false;
    // A refusal stands only if it comes from the tables in memory and from no cache.
    for (uint32_t level = 2; level <= 5; level++)
        drop_covering(walk->tlb, &walk->tlb->banks[level], 0, walk->gva, walk->space);
    walk->trusts = false;
    return walk_once(walk, ret);
}
