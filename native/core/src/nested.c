// Two-stage page walk: GVA to GPA to SPA. Twin of minihv/paging/nested.py.
//
// Spec: AMD APM vol. 2, "Nested Paging". Simplified: as the Python twin. The two are held equal by
// tests/twins/test_nested_walk.py.

#include "minihv/walk.h"
#include "ways.h"

#include <stddef.h>

// The second stage during one walk, and the tables that it passed last.
//
// A processor keeps these too, in paging-structure caches. Within one walk they need no flush: what
// a walk writes is A and D, so the entries above, read again, would lead to the same table.
struct second {
    struct stage stage;
    struct mhv_table_path *path;
    uint64_t spa;
    uint64_t leaf_pa;
    uint32_t levels;
    uint32_t references; // entries that the last translation stands for
};

// Goes on where the last walk along `path` ended; from the root, if there was none or it was
// another's.
static inline void second_begin(struct second *second, const struct mhv_paging *paging,
                                struct mhv_table_path *path)
{
    stage_begin(&second->stage, paging);
    second->path = path;
    second->levels = levels_of(paging);
    if (path->level != 0 && path->root == second->stage.table) {
        second->stage.level = path->level;
        return;
    }
    path->root = path->tables[second->levels] = second->stage.table;
    path->rights[second->levels] = second->stage.rights;
    path->gpa = 0;
    path->level = second->levels;
}

// Back up to the lowest table that `gpa` shares with the last translation: at the latest the root.
static inline void rise_to_common_table(struct second *second, uint64_t gpa)
{
    struct stage *stage = &second->stage;
    const uint64_t different = gpa ^ second->path->gpa;

    while (stage->level < second->levels && different >> shift_of(stage->level + 1))
        stage->level++;
    stage->table = second->path->tables[stage->level];
    stage->rights = second->path->rights[stage->level];
    second->path->gpa = gpa;
}

// Every access by way of the second stage is one of a user.
static inline struct rights second_rights(const struct second *second)
{
    const bool user_page = second->stage.rights & USER;

    return (struct rights){
        .readable = user_page,
        .writable = user_page && second->stage.rights & WRITABLE,
        .executable = user_page && second->stage.rights & NO_EXECUTE,
    };
}

// No table answers for a GPA that is wider than the tables translate: absent, and nothing is read.
static inline bool out_of_reach(struct second *second, uint64_t gpa)
{
    second->path->gpa = gpa;
    second->references = 0;
    second->path->level = second->stage.level = second->levels;
    second->stage.refusal = 0;
    return false;
}

// `gpa` to `second->spa`. False when the second stage refuses; then `stage.refusal` says why.
__attribute__((always_inline)) static inline bool
translate(struct mhv_ram ram, struct second *second, uint64_t gpa, uint8_t kind)
{
    struct stage *stage = &second->stage;
    enum step step;

    if (gpa >> shift_of(second->levels + 1))
        return out_of_reach(second, gpa);
    rise_to_common_table(second, gpa);
    for (;;) {
        second->leaf_pa = entry_address(stage, gpa);
        step = stage_step(ram, stage, second->leaf_pa);
        if (step != DOWN)
            break;
        second->path->tables[stage->level] = stage->table;
        second->path->rights[stage->level] = stage->rights;
    }
    second->path->level = stage->level;
    second->references = second->levels - stage->level + 1;
    if (step == FAULT)
        return false;
    stage->refusal = PF_PRESENT;
    if (!may(second_rights(second), kind))
        return false;
    mark_leaf(ram, stage, second->leaf_pa, kind);
    second->spa = leaf_target(stage, gpa);
    return true;
}

static void violation(const struct second *second, uint8_t kind, struct mhv_walk_result *ret)
{
    *ret = (struct mhv_walk_result){.outcome = MHV_VIOLATION};
    ret->gpa = second->path->gpa;
    ret->second_level = (uint8_t)second->stage.level;
    ret->references = second->references;
    ret->error_code = second->stage.refusal | PF_USER | (kind == MHV_WRITE ? PF_WRITE : 0) |
                      (kind == MHV_EXECUTE ? PF_FETCH : 0);
}

// What a second stage tells of a mapping, where the first allows `rights`.
static inline void second_mapping(const struct second *second, struct rights rights,
                                  struct mhv_walk_result *ret)
{
    const struct rights allowed = second_rights(second);

    ret->outcome = MHV_MAPPED;
    ret->gpa = second->path->gpa;
    ret->spa = second->spa;
    ret->second_page_bytes = leaf_bytes(&second->stage);
    ret->second_leaf_entry = second->stage.entry;
    ret->second_leaf_pa = second->leaf_pa;
    ret->second_level = (uint8_t)second->stage.level;
    ret->error_code = 0;
    ret->on_table = false;
    ret->readable = rights.readable && allowed.readable;
    ret->writable = rights.writable && allowed.writable;
    ret->executable = rights.executable && allowed.executable;
}

void mhv_second_walk(const struct mhv_ram *ram, const struct mhv_paging *paging, uint64_t gpa,
                     uint8_t kind, struct mhv_walk_result *ret)
{
    struct mhv_table_path path;
    struct second second;

    path.level = 0;
    second_begin(&second, paging, &path);
    if (!translate(*ram, &second, gpa, kind)) {
        violation(&second, kind, ret);
        return;
    }
    *ret = (struct mhv_walk_result){.user = true};
    second_mapping(&second, (struct rights){true, true, true}, ret);
    ret->references = second.references;
    ret->dirty = second.stage.entry & DIRTY;
}

// As `translate` for a guest's table. A slot holds only what was written through, so its A and D
// are set for as long as the cache is valid.
static inline bool translate_table(struct mhv_ram ram, struct second *second, uint64_t gpa,
                                   struct mhv_walk_cache *cache)
{
    const uint64_t page = gpa >> 12;

    if (!cache)
        return translate(ram, second, gpa, MHV_WRITE);
    struct mhv_nested_slot *slot = &cache->slots[(page ^ page >> 5) % 32];

    if (slot->tag == page + 1) {
        second->spa = slot->spa + (gpa & 0xFFF);
        second->references = (uint32_t)slot->references;
        return true;
    }
    if (!translate(ram, second, gpa, MHV_WRITE))
        return false;
    *slot = (struct mhv_nested_slot){page + 1, second->spa & ~UINT64_C(0xFFF), second->references};
    return true;
}

// What the leaves of both stages make of a page.
static inline void mapped(const struct second *second, const struct stage *stage,
                          uint64_t entry_spa, struct rights rights, uint32_t references,
                          struct mhv_walk_result *ret)
{
    second_mapping(second, rights, ret);
    ret->page_bytes = leaf_bytes(stage);
    ret->leaf_entry = stage->entry;
    ret->leaf_pa = entry_spa;
    ret->references = references;
    ret->level = (uint8_t)stage->level;
    ret->user = stage->rights & USER;
    ret->dirty = stage->entry & second->stage.entry & DIRTY;
}

// What most misses come to: both ways down are known, and both pages have been used like this
// before. Reads the last entry of each stage and changes nothing. False: walk.
static inline bool short_walk(const struct mhv_ram *ram, const struct mhv_paging *guest,
                              const struct mhv_paging *paging, uint64_t gva,
                              struct mhv_access access, struct mhv_walk_cache *cache,
                              struct mhv_walk_result *ret)
{
    const uint64_t used = PRESENT | ACCESSED | (access.kind == MHV_WRITE ? DIRTY : 0);
    const struct mhv_guest_slot *way = known_way(guest, cache, gva);
    struct mhv_table_path *path = &cache->path;
    struct second second = {.path = path};
    struct stage stage;

    if (!way || path->level != 1 || path->root != (paging->root & FRAME))
        return false;
    stage_begin(&stage, guest);
    stage_begin(&second.stage, paging);
    stage.level = second.stage.level = 1;
    const uint64_t entry_spa = way->table_spa + (gva >> 12 & 0x1FF) * 8;
    stage.entry = read_u64(*ram, entry_spa);
    const uint64_t gpa = (stage.entry & FRAME) | (gva & 0xFFF);
    if ((stage.entry & (used | stage.reserved)) != used || (gpa ^ path->gpa) >> 21)
        return false;
    second.leaf_pa = path->tables[1] + (gpa >> 12 & 0x1FF) * 8;
    second.stage.entry = read_u64(*ram, second.leaf_pa);
    if ((second.stage.entry & (used | second.stage.reserved)) != used)
        return false;
    stage.rights = way->rights & (stage.entry ^ NO_EXECUTE);
    second.stage.rights = path->rights[1] & (second.stage.entry ^ NO_EXECUTE);
    const struct rights rights = rights_of(guest, stage.rights, access);
    if (!may(rights, access.kind) || !may(second_rights(&second), access.kind))
        return false;
    path->gpa = gpa;
    second.spa = (second.stage.entry & FRAME) | (gva & 0xFFF);
    mapped(&second, &stage, entry_spa, rights, (uint32_t)way->references + levels_of(paging), ret);
    return true;
}

// The walk itself. `cache` is NULL or not at compile time, so each of the two callers has its own.
__attribute__((always_inline)) static inline void
walk_both(const struct mhv_ram *ram, const struct mhv_paging *guest,
          const struct mhv_paging *paging, uint64_t gva, struct mhv_access access,
          struct mhv_walk_cache *cache, struct mhv_walk_result *ret)
{
    struct mhv_table_path path;
    struct stage stage;
    struct second second;
    uint64_t entry_spa;
    uint32_t references = 0;
    uint32_t level;
    enum step step;

    if (!is_canonical(gva, levels_of(guest))) {
        *ret = (struct mhv_walk_result){.outcome = MHV_NOT_CANONICAL};
        return;
    }
    stage_begin(&stage, guest);
    if (cache && cache->path.root != (paging->root & FRAME))
        *cache = (struct mhv_walk_cache){.path.level = 0};
    path.level = 0;
    second_begin(&second, paging, cache ? &cache->path : &path);
    do {
        level = stage.level;
        if (!translate_table(*ram, &second, entry_address(&stage, gva), cache)) {
            violation(&second, MHV_WRITE, ret);
            ret->references += references;
            ret->level = (uint8_t)level;
            ret->on_table = true;
            return;
        }
        references += second.references + 1;
        entry_spa = second.spa;
        if (cache && level == 1)
            keep_way(cache, gva, entry_spa, &stage, references);
        step = stage_step(*ram, &stage, entry_spa);
    } while (step == DOWN);

    const struct rights rights = rights_of(guest, stage.rights, access);
    if (step == FAULT || !may(rights, access.kind)) {
        *ret = (struct mhv_walk_result){.outcome = MHV_PAGE_FAULT};
        ret->references = references;
        ret->level = (uint8_t)level;
        ret->error_code = fault_code(guest, access, step == FAULT ? stage.refusal : PF_PRESENT);
        return;
    }
    mark_leaf(*ram, &stage, entry_spa, access.kind);

    if (!translate(*ram, &second, leaf_target(&stage, gva), access.kind)) {
        violation(&second, access.kind, ret);
        ret->references += references;
        ret->level = (uint8_t)level;
        return;
    }
    mapped(&second, &stage, entry_spa, rights, references + second.references, ret);
}

// CR0.PG = 0: the guest has no tables, and an address of 32 bits is a GPA.
static void walk_unpaged(const struct mhv_ram *ram, const struct mhv_paging *second, uint64_t gva,
                         struct mhv_access access, struct mhv_walk_result *ret)
{
    mhv_second_walk(ram, second, (uint32_t)gva, access.kind, ret);
}

void mhv_nested_walk(const struct mhv_ram *ram, const struct mhv_paging *guest,
                     const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                     struct mhv_walk_result *ret)
{
    if (guest->levels == 0)
        walk_unpaged(ram, second, gva, access, ret);
    else
        walk_both(ram, guest, second, gva, access, NULL, ret);
}

// Out of line, so that the short way has the registers to itself.
__attribute__((noinline)) static void
long_walk(const struct mhv_ram *ram, const struct mhv_paging *guest,
          const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
          struct mhv_walk_cache *cache, struct mhv_walk_result *ret)
{
    walk_both(ram, guest, second, gva, access, cache, ret);
}

void mhv_nested_walk_cached(const struct mhv_ram *ram, const struct mhv_paging *guest,
                            const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                            struct mhv_walk_cache *cache, struct mhv_walk_result *ret)
{
    if (guest->levels == 0)
        walk_unpaged(ram, second, gva, access, ret);
    else if (!short_walk(ram, guest, second, gva, access, cache, ret))
        long_walk(ram, guest, second, gva, access, cache, ret);
}

uint64_t mhv_walk_each(const struct mhv_ram *ram, const struct mhv_paging *guest,
                       const struct mhv_paging *second, const uint64_t *gvas, uint64_t count,
                       struct mhv_access access)
{
    struct mhv_walk_result found;
    uint64_t references = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (second)
            mhv_nested_walk(ram, guest, second, gvas[i], access, &found);
        else
            mhv_walk(ram, guest, gvas[i], access, &found);
        references += found.references;
    }
    return references;
}
