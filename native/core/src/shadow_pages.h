// The frames of shadow tables. Twin of minihv/paging/shadow_pages.py; read that first.
//
// Private to shadow.c and shadow_pages.c.
#ifndef MINIHV_SHADOW_PAGES_H
#define MINIHV_SHADOW_PAGES_H
#include "minihv/shadow.h"
#include "stage.h"

enum { PAGE_SHIFT = 12, PAGE_BYTES = 4096, LARGE_SHIFT = 21, SLOTS = 512, BUCKETS = 1024 };
static const uint64_t WRITE_RIGHT = WRITABLE | DIRTY;
static const uint32_t NO_PAGE = UINT32_MAX;

// A shadow page, by its number: its frame is the one of the same number in the run.
//
// Lists of slots are chained through `next` and `before` of the pool, and their heads are the
// number of a slot plus 1, so that 0 is an empty list.
struct shadow_page {
    uint64_t table; // SPA of the guest's table, or the GPA of a piece of a large page (direct)
    uint32_t level;
    bool direct;
    bool in_sync;
    uint32_t writes;       // to its table, heard since a walk last came by
    uint32_t parents;      // list of the slots that point here
    uint32_t bucket_next;  // of the same hash
    uint32_t older, newer; // in the order of their making
};

struct shadow_pages {
    struct mhv_ram ram;
    uint64_t base;
    uint32_t count;
    struct shadow_page *pages;
    uint32_t *free;
    uint32_t free_count;
    uint32_t *next, *before;  // for each slot of each page
    uint32_t *writable;       // for each frame of memory: the slots that allow to write
    uint32_t *writable_large; // for each 2 MiB of memory: the large slots that do
    uint32_t *tables_near;    // for each 2 MiB of memory: pages in sync that mirror a table there
    uint32_t buckets[BUCKETS];
    uint32_t oldest, newest;
    struct mhv_shadow_counters counters;
    bool stale;
};

// The pages that must stay: those on the way of the walk that makes another.
struct way {
    uint32_t pages[8];
    uint32_t count;
};

bool mhv_pages_create(struct shadow_pages *pool, const struct mhv_ram *ram, uint64_t base,
                      uint32_t count);
void mhv_pages_destroy(struct shadow_pages *pool);
uint32_t mhv_pages_find(const struct shadow_pages *pool, uint64_t table, uint32_t level,
                        bool direct);
uint32_t mhv_pages_make(struct shadow_pages *pool, uint64_t table, uint32_t level, bool direct,
                        const struct way *busy);
uint32_t mhv_pages_mirrors(const struct shadow_pages *pool, uint64_t spa, uint32_t *found);
bool mhv_pages_is_protected(const struct shadow_pages *pool, uint64_t spa);
bool mhv_pages_is_protected_near(const struct shadow_pages *pool, uint64_t spa);
void mhv_pages_protect(struct shadow_pages *pool, uint32_t page);
void mhv_pages_let_go(struct shadow_pages *pool, uint32_t page);
uint32_t mhv_pages_child(const struct shadow_pages *pool, uint64_t slot);
void mhv_pages_link(struct shadow_pages *pool, uint64_t slot, uint32_t child, uint64_t rights);
void mhv_pages_put_leaf(struct shadow_pages *pool, uint64_t slot, uint64_t value);
void mhv_pages_zap(struct shadow_pages *pool, uint64_t slot);
void mhv_pages_take_writes(struct shadow_pages *pool);
void mhv_pages_release(struct shadow_pages *pool, uint32_t page);

static inline uint64_t frame_of(const struct shadow_pages *pool, uint32_t page)
{
    return pool->base + ((uint64_t)page << PAGE_SHIFT);
}

static inline uint64_t slot_for(const struct shadow_pages *pool, uint32_t page, uint64_t address)
{
    const uint64_t index = address >> shift_of(pool->pages[page].level) & (SLOTS - 1);

    return frame_of(pool, page) + 8 * index;
}

#endif
