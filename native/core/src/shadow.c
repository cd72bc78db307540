// Shadow paging: tables from GVA to SPA that ring -1 keeps beside the guest's own. Twin of
// minihv/paging/shadow.py; read that first.
//
// Spec: AMD APM vol. 2, "Secure Virtual Machine". Simplified: as the Python twin. The two are held
// equal by tests/twins/test_shadow.py.

#include "minihv/shadow.h"
#include "shadow_pages.h"

#include <stdlib.h>

enum { FLOOD = 3 }; // so many writes to a table in a row are worth to be heard
static const uint64_t GLOBAL = 0x100;
static const uint64_t GRANTS_ALL = WRITABLE | USER;

struct mhv_shadow {
    struct shadow_pages pool;
    struct mhv_paging second;
    uint32_t policy;
    bool keep_large;
    struct mhv_paging mode; // `levels`, `nxe` and `physical_bits` of the guest's tables
    uint64_t last_root;     // of the guest, whose page is `last_page`
    uint32_t last_page;     // NO_PAGE: there is none
};

static uint64_t rights_in(uint64_t entry)
{
    return entry & (WRITABLE | USER | NO_EXECUTE);
}

// What the guest's entry of a page grants: to write only once D is set.
static uint64_t leaf_marks(uint64_t entry)
{
    return (entry & (USER | GLOBAL | NO_EXECUTE)) | (entry & DIRTY ? entry & WRITABLE : 0);
}

struct mhv_shadow *mhv_shadow_create(const struct mhv_ram *ram,
                                     const struct mhv_shadow_options *options)
{
    struct mhv_shadow *shadow = calloc(1, sizeof *shadow);

    if (!shadow || !mhv_pages_create(&shadow->pool, ram, options->base, options->page_count)) {
        free(shadow);
        return NULL;
    }
    shadow->second = options->second;
    shadow->policy = options->policy;
    shadow->keep_large = options->keep_large;
    shadow->last_page = NO_PAGE;
    return shadow;
}

void mhv_shadow_destroy(struct mhv_shadow *shadow)
{
    if (!shadow)
        return;
    mhv_pages_destroy(&shadow->pool);
    free(shadow);
}

static bool reach(struct mhv_shadow *shadow, uint64_t gpa, uint8_t kind,
                  struct mhv_walk_result *found)
{
    mhv_second_walk(&shadow->pool.ram, &shadow->second, gpa, kind, found);
    return found->outcome == MHV_MAPPED;
}

static uint32_t page_for(struct mhv_shadow *shadow, uint64_t table, uint32_t level, bool direct,
                         const struct way *busy)
{
    uint32_t page = mhv_pages_find(&shadow->pool, table, level, direct);

    if (page != NO_PAGE)
        return page;
    shadow->last_page = NO_PAGE; // it may have to make room
    page = mhv_pages_make(&shadow->pool, table, level, direct, busy);
    if (!direct && shadow->policy != MHV_SHADOW_FLUSH)
        mhv_pages_protect(&shadow->pool, page);
    return page;
}

// The page that mirrors the guest's table at `table_gpa`, or NO_PAGE with `*found` a violation.
static uint32_t mirror(struct mhv_shadow *shadow, uint64_t table_gpa, uint32_t level,
                       const struct way *busy, struct mhv_walk_result *found)
{
    if (!reach(shadow, table_gpa, MHV_WRITE, found))
        return NO_PAGE;
    return page_for(shadow, found->spa, level, false, busy);
}

static bool is_mode(const struct mhv_paging *mode, const struct mhv_paging *guest)
{
    return mode->levels == guest->levels && mode->nxe == guest->nxe &&
           mode->physical_bits == guest->physical_bits;
}

static uint32_t root_page(struct mhv_shadow *shadow, const struct mhv_paging *guest,
                          struct mhv_walk_result *found)
{
    if (!is_mode(&shadow->mode, guest)) {
        mhv_shadow_drop(shadow);
        shadow->mode = *guest;
    }
    if (shadow->last_page == NO_PAGE || shadow->last_root != guest->root) {
        const uint32_t page = mirror(shadow, guest->root & FRAME, levels_of(guest), NULL, found);
        shadow->last_root = guest->root;
        shadow->last_page = page;
    }
    return shadow->last_page;
}

uint64_t mhv_shadow_root(struct mhv_shadow *shadow, const struct mhv_paging *guest)
{
    struct mhv_walk_result found;
    const uint32_t page = root_page(shadow, guest, &found);

    return page == NO_PAGE ? UINT64_MAX : frame_of(&shadow->pool, page);
}

// The shadow pages on the way to the slot for `gva` in the table of that level.
static bool way_to(struct mhv_shadow *shadow, const struct mhv_paging *guest, uint64_t gva,
                   uint32_t level, struct way *way, struct mhv_walk_result *ret)
{
    struct shadow_pages *pool = &shadow->pool;
    uint32_t page = root_page(shadow, guest, ret);

    way->count = 0;
    while (page != NO_PAGE) {
        const struct shadow_page *mirrored = &pool->pages[page];
        way->pages[way->count++] = page;
        pool->pages[page].writes = 0;
        if (mirrored->level == level)
            return true;
        const uint64_t entry = read_u64(
            pool->ram, mirrored->table + (slot_for(pool, page, gva) - frame_of(pool, page)));
        const uint32_t child = mirror(shadow, entry & FRAME, mirrored->level - 1, way, ret);
        if (child != NO_PAGE)
            mhv_pages_link(pool, slot_for(pool, page, gva), child, rights_in(entry));
        page = child;
    }
    return false;
}

// Whether one slot of `level` can hold the page around `target`: all of it alike.
static bool fits(const struct mhv_shadow *shadow, uint32_t level,
                 const struct mhv_walk_result *target)
{
    return level == 1 || (shadow->keep_large && level == 2 &&
                          target->second_page_bytes >= UINT64_C(1) << LARGE_SHIFT &&
                          !mhv_pages_is_protected_near(&shadow->pool, target->spa));
}

// The slot of a page of `level` around `target` to which the guest grants `marks`.
static uint64_t leaf(const struct mhv_shadow *shadow, uint32_t level, uint64_t marks,
                     const struct mhv_walk_result *target)
{
    const uint64_t offset_mask = (UINT64_C(1) << shift_of(level)) - 1;
    uint64_t value =
        (target->spa & ~offset_mask) | PRESENT | ACCESSED | (marks & (USER | GLOBAL | NO_EXECUTE));

    if (level > 1)
        value |= LARGE;
    if (!target->executable)
        value |= NO_EXECUTE;
    const bool protected = level == 1 && mhv_pages_is_protected(&shadow->pool, target->spa);
    if (marks & WRITABLE && target->writable && target->dirty && !protected &&
        target->spa < shadow->pool.ram.byte_count)
        value |= WRITE_RIGHT;
    return value;
}

// The table in the frame of `spa` goes out of sync, if it is one of the lowest level only.
static void let_go(struct mhv_shadow *shadow, uint64_t spa)
{
    uint32_t found[5];
    const uint32_t count = mhv_pages_mirrors(&shadow->pool, spa, found);

    if (count != 1 || shadow->pool.pages[found[0]].level != 1)
        return;
    mhv_pages_let_go(&shadow->pool, found[0]);
}

static bool way_grants_write(const struct shadow_pages *pool, const struct way *way, uint64_t gva)
{
    uint64_t granted = WRITABLE;

    for (uint32_t i = 0; i < way->count; i++)
        granted &= read_u64(pool->ram, slot_for(pool, way->pages[i], gva));
    return granted;
}

// Puts the leaf for `gva` below the last page of `way`.
static void put_page(struct mhv_shadow *shadow, struct way *way,
                     const struct mhv_walk_result *found, const struct mhv_walk_result *target,
                     uint64_t gva)
{
    struct shadow_pages *pool = &shadow->pool;
    uint64_t marks = leaf_marks(found->leaf_entry);
    uint32_t page = way->pages[way->count - 1];

    while (!fits(shadow, pool->pages[page].level, target)) {
        const uint64_t size = UINT64_C(1) << shift_of(pool->pages[page].level);
        const uint32_t piece =
            page_for(shadow, found->gpa & ~(size - 1), pool->pages[page].level - 1, true, way);
        mhv_pages_link(pool, slot_for(pool, page, gva), piece, rights_in(marks));
        way->pages[way->count++] = page = piece;
        marks = GRANTS_ALL;
    }
    mhv_pages_put_leaf(pool, slot_for(pool, page, gva),
                       leaf(shadow, pool->pages[page].level, marks, target));
}

void mhv_shadow_fill(struct mhv_shadow *shadow, const struct mhv_paging *guest, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_result *ret)
{
    struct mhv_walk_result target;
    struct way way;

    // 1. The fault may be the guest's own.
    mhv_nested_walk(&shadow->pool.ram, guest, &shadow->second, gva, access, ret);
    if (ret->outcome != MHV_MAPPED)
        return;

    // 2. Go down the shadow tables along the guest's, making what is missing.
    if (!way_to(shadow, guest, gva, ret->level, &way, &target)) {
        *ret = target;
        return;
    }

    // 3. The page itself: a write to a table in its frame may let that table go out of sync.
    if (access.kind == MHV_WRITE && shadow->policy == MHV_SHADOW_UNSYNC)
        let_go(shadow, ret->spa);
    if (!reach(shadow, ret->gpa, MHV_READ, &target)) {
        *ret = target;
        return;
    }
    put_page(shadow, &way, ret, &target, gva);
    if (access.kind == MHV_WRITE && !way_grants_write(&shadow->pool, &way, gva))
        ret->outcome = MHV_EMULATE;
}

void mhv_shadow_written(struct mhv_shadow *shadow, uint64_t spa, uint64_t byte_count)
{
    struct shadow_pages *pool = &shadow->pool;
    uint32_t found[5];

    for (uint64_t table = spa & ~(uint64_t)(PAGE_BYTES - 1); table < spa + byte_count;
         table += PAGE_BYTES) {
        const uint64_t first = spa > table ? spa - table : 0;
        const uint64_t end =
            spa + byte_count < table + PAGE_BYTES ? spa + byte_count - table : PAGE_BYTES;
        const uint32_t count = mhv_pages_mirrors(pool, table, found);
        for (uint32_t i = 0; i < count; i++) {
            for (uint64_t at = first & ~UINT64_C(7); at < end; at += 8)
                mhv_pages_zap(pool, frame_of(pool, found[i]) + at);
            if (++pool->pages[found[i]].writes <= FLOOD)
                continue;
            shadow->last_page = NO_PAGE; // it is being filled, or is no table any more
            mhv_pages_release(pool, found[i]);
        }
    }
}

static uint64_t expected_link(const struct mhv_shadow *shadow, uint64_t table, uint32_t level,
                              bool direct, uint64_t marks)
{
    const uint32_t child = mhv_pages_find(&shadow->pool, table, level, direct);

    return child == NO_PAGE
               ? 0
               : frame_of(&shadow->pool, child) | PRESENT | ACCESSED | rights_in(marks);
}

static bool is_reserved(const struct mhv_shadow *shadow, uint32_t level, uint64_t entry)
{
    struct stage stage;

    stage_begin(&stage, &shadow->mode);
    if (level > 3)
        stage.reserved |= LARGE;
    else if (level > 1 && entry & LARGE)
        stage.reserved |= ((UINT64_C(1) << shift_of(level)) - 1) & FRAME & ~LARGE_PAT;
    return entry & stage.reserved;
}

// What mhv_shadow_fill would put into `slot` of `page`; 0 for nothing.
static uint64_t expected(struct mhv_shadow *shadow, uint32_t page, uint64_t slot)
{
    const struct shadow_page *mirrored = &shadow->pool.pages[page];
    const uint32_t level = mirrored->level;
    const uint64_t entry =
        read_u64(shadow->pool.ram, mirrored->table + (slot - frame_of(&shadow->pool, page)));
    struct mhv_walk_result target;

    if (!(entry & PRESENT) || !(entry & ACCESSED) || is_reserved(shadow, level, entry))
        return 0;
    if (level > 1 && !(entry & LARGE)) {
        if (!reach(shadow, entry & FRAME, MHV_WRITE, &target))
            return 0;
        return expected_link(shadow, target.spa, level - 1, false, entry);
    }
    const uint64_t gpa = entry & FRAME & ~((UINT64_C(1) << shift_of(level)) - 1);
    if (!reach(shadow, gpa, MHV_READ, &target))
        return 0;
    if (fits(shadow, level, &target))
        return leaf(shadow, level, leaf_marks(entry), &target);
    return expected_link(shadow, gpa, level - 1, true, leaf_marks(entry));
}

// Whether `slot` still mirrors the guest's entry, or grants less.
static bool is_true(struct mhv_shadow *shadow, uint32_t page, uint64_t slot)
{
    const uint64_t held = read_u64(shadow->pool.ram, slot);
    const uint64_t wanted = expected(shadow, page, slot);

    return wanted && (held == wanted || held == (wanted & ~WRITE_RIGHT));
}

void mhv_shadow_invalidate_page(struct mhv_shadow *shadow, const struct mhv_paging *guest,
                                uint64_t gva)
{
    struct shadow_pages *pool = &shadow->pool;
    struct mhv_walk_result found;

    if (shadow->policy == MHV_SHADOW_TRAP)
        return;
    uint32_t page = root_page(shadow, guest, &found);
    while (page != NO_PAGE) {
        const uint64_t slot = slot_for(pool, page, gva);
        if (!pool->pages[page].in_sync && !pool->pages[page].direct && !is_true(shadow, page, slot))
            mhv_pages_zap(pool, slot);
        page = mhv_pages_child(pool, slot);
    }
}

// Empties the slots of `page` that are out of date, and has it in sync again.
static void reconcile(struct mhv_shadow *shadow, uint32_t page)
{
    struct shadow_pages *pool = &shadow->pool;

    for (uint64_t at = 0; at < PAGE_BYTES; at += 8) {
        const uint64_t slot = frame_of(pool, page) + at;
        if (read_u64(pool->ram, slot) & PRESENT && !is_true(shadow, page, slot))
            mhv_pages_zap(pool, slot);
    }
    mhv_pages_protect(pool, page);
}

void mhv_shadow_invalidate_all(struct mhv_shadow *shadow)
{
    const struct shadow_pages *pool = &shadow->pool;

    if (shadow->policy == MHV_SHADOW_FLUSH)
        mhv_shadow_drop(shadow);
    if (shadow->policy == MHV_SHADOW_UNSYNC)
        for (uint32_t page = pool->oldest; page != NO_PAGE; page = pool->pages[page].newer)
            if (!pool->pages[page].in_sync && !pool->pages[page].direct)
                reconcile(shadow, page);
}

void mhv_shadow_drop(struct mhv_shadow *shadow)
{
    shadow->last_page = NO_PAGE;
    while (shadow->pool.oldest != NO_PAGE)
        mhv_pages_release(&shadow->pool, shadow->pool.oldest);
}

void mhv_shadow_take_writes(struct mhv_shadow *shadow)
{
    mhv_pages_take_writes(&shadow->pool);
}

bool mhv_shadow_take_stale(struct mhv_shadow *shadow)
{
    const bool stale = shadow->pool.stale;

    shadow->pool.stale = false;
    return stale;
}

void mhv_shadow_count(const struct mhv_shadow *shadow, struct mhv_shadow_counters *ret)
{
    *ret = shadow->pool.counters;
}
