// One-stage page walk: GVA to GPA, one table at a time. Twin of minihv/paging/walk.py.
//
// Spec: AMD APM vol. 2, "Long-Mode Page Translation"; Intel SDM vol. 3A, "4-Level Paging and
// 5-Level Paging". Simplified: as the Python twin. The two are held equal by
// tests/twins/test_walk.py.

#include "minihv/walk.h"
#include "ways.h"

static void page_fault(const struct mhv_paging *paging, struct mhv_access access,
                       const struct stage *stage, uint32_t refusal, struct mhv_walk_result *ret)
{
    *ret = (struct mhv_walk_result){.outcome = MHV_PAGE_FAULT};
    ret->level = (uint8_t)stage->level;
    ret->references = levels_of(paging) - stage->level + 1;
    ret->error_code = fault_code(paging, access, refusal);
}

// Every field is set one by one: to clear them all first would cost as much as two references.
static inline void mapping(const struct mhv_paging *paging, uint64_t gva, const struct stage *stage,
                           uint64_t leaf_pa, struct rights rights, struct mhv_walk_result *ret)
{
    ret->outcome = MHV_MAPPED;
    ret->gpa = leaf_target(stage, gva);
    ret->spa = 0;
    ret->page_bytes = leaf_bytes(stage);
    ret->second_page_bytes = 0;
    ret->leaf_entry = stage->entry;
    ret->second_leaf_entry = 0;
    ret->leaf_pa = leaf_pa;
    ret->second_leaf_pa = 0;
    ret->error_code = 0;
    ret->second_level = 0;
    ret->on_table = false;
    ret->level = (uint8_t)stage->level;
    ret->references = levels_of(paging) - stage->level + 1;
    ret->readable = rights.readable;
    ret->writable = rights.writable;
    ret->executable = rights.executable;
    ret->user = stage->rights & USER;
    ret->dirty = stage->entry & DIRTY;
}

// The walk itself. `cache` is NULL or not at compile time, so each of the two callers has its own.
__attribute__((always_inline)) static inline void
walk_one(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
         struct mhv_access access, struct mhv_walk_cache *cache, struct mhv_walk_result *ret)
{
    struct stage stage;
    uint64_t entry_pa;
    enum step step;

    if (!is_canonical(gva, levels_of(paging))) {
        *ret = (struct mhv_walk_result){.outcome = MHV_NOT_CANONICAL};
        return;
    }
    stage_begin(&stage, paging);
    do {
        entry_pa = entry_address(&stage, gva);
        if (cache && stage.level == 1)
            keep_way(cache, gva, entry_pa, &stage, levels_of(paging));
        step = stage_step(*ram, &stage, entry_pa);
    } while (step == DOWN);
    if (step == FAULT) {
        page_fault(paging, access, &stage, stage.refusal, ret);
        return;
    }

    const struct rights rights = rights_of(paging, stage.rights, access);
    if (!may(rights, access.kind)) {
        page_fault(paging, access, &stage, PF_PRESENT, ret);
        return;
    }
    mark_leaf(*ram, &stage, entry_pa, access.kind);
    mapping(paging, gva, &stage, entry_pa, rights, ret);
}

void mhv_walk(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
              struct mhv_access access, struct mhv_walk_result *ret)
{
    walk_one(ram, paging, gva, access, NULL, ret);
}

void mhv_walk_cache_forget(struct mhv_walk_cache *cache)
{
    cache->epoch++;
}

// What most misses come to: the way down is known, and the page has been used like this before.
// Reads the last entry and changes nothing. False: walk.
static inline bool short_walk(const struct mhv_ram *ram, const struct mhv_paging *paging,
                              uint64_t gva, struct mhv_access access, struct mhv_walk_cache *cache,
                              struct mhv_walk_result *ret)
{
    const uint64_t used = PRESENT | ACCESSED | (access.kind == MHV_WRITE ? DIRTY : 0);
    const struct mhv_guest_slot *way = known_way(paging, cache, gva);
    struct stage stage;

    if (!way)
        return false;
    stage_begin(&stage, paging);
    stage.level = 1;
    const uint64_t entry_pa = way->table_spa + (gva >> 12 & 0x1FF) * 8;
    stage.entry = read_u64(*ram, entry_pa);
    stage.rights = way->rights & (stage.entry ^ NO_EXECUTE);
    const struct rights rights = rights_of(paging, stage.rights, access);
    if ((stage.entry & (used | stage.reserved)) != used || !may(rights, access.kind))
        return false;
    mapping(paging, gva, &stage, entry_pa, rights, ret);
    return true;
}

// Out of line, so that the short way has the registers to itself.
__attribute__((noinline)) static void
long_walk(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
          struct mhv_access access, struct mhv_walk_cache *cache, struct mhv_walk_result *ret)
{
    walk_one(ram, paging, gva, access, cache, ret);
}

void mhv_walk_cached(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_cache *cache,
                     struct mhv_walk_result *ret)
{
    if (!short_walk(ram, paging, gva, access, cache, ret))
        long_walk(ram, paging, gva, access, cache, ret);
}
