// The frames of shadow tables: which guest table each mirrors, and who points where. Twin of
// minihv/paging/shadow_pages.py.
//
// Simplified: as the Python twin. The two are held equal by tests/twins/test_shadow.py.

#include "shadow_pages.h"

#include <stdlib.h>

enum { SHARE_EVICTED = 8 };

static void *zeros(uint64_t count, uint64_t item_bytes)
{
    return calloc((size_t)count, (size_t)item_bytes);
}

bool mhv_pages_create(struct shadow_pages *pool, const struct mhv_ram *ram, uint64_t base,
                      uint32_t count)
{
    const uint64_t frame_count = ram->byte_count >> PAGE_SHIFT;
    const uint64_t large_count = (ram->byte_count >> LARGE_SHIFT) + 1;

    *pool = (struct shadow_pages){.ram = *ram, .base = base, .count = count};
    if (count < MHV_SHADOW_FEWEST_PAGES || base + ((uint64_t)count << PAGE_SHIFT) > ram->byte_count)
        return false;
    pool->pages = zeros(count, sizeof *pool->pages);
    pool->free = zeros(count, sizeof *pool->free);
    pool->next = zeros((uint64_t)count * SLOTS, sizeof *pool->next);
    pool->before = zeros((uint64_t)count * SLOTS, sizeof *pool->before);
    pool->writable = zeros(frame_count, sizeof *pool->writable);
    pool->writable_large = zeros(large_count, sizeof *pool->writable_large);
    pool->tables_near = zeros(large_count, sizeof *pool->tables_near);
    if (!pool->pages || !pool->free || !pool->next || !pool->before || !pool->writable ||
        !pool->writable_large || !pool->tables_near) {
        mhv_pages_destroy(pool);
        return false;
    }
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++)
        pool->buckets[bucket] = NO_PAGE;
    for (uint32_t number = count; number > 0; number--)
        pool->free[pool->free_count++] = number - 1;
    pool->oldest = pool->newest = NO_PAGE;
    return true;
}

void mhv_pages_destroy(struct shadow_pages *pool)
{
    free(pool->pages);
    free(pool->free);
    free(pool->next);
    free(pool->before);
    free(pool->writable);
    free(pool->writable_large);
    free(pool->tables_near);
}

// Lists of slots.

static uint32_t number_of(const struct shadow_pages *pool, uint64_t slot)
{
    return (uint32_t)((slot - pool->base) / 8);
}

static uint64_t slot_of(const struct shadow_pages *pool, uint32_t number)
{
    return pool->base + UINT64_C(8) * number;
}

static void list_add(struct shadow_pages *pool, uint32_t *head, uint64_t slot)
{
    const uint32_t number = number_of(pool, slot);

    pool->before[number] = 0;
    pool->next[number] = *head;
    if (*head)
        pool->before[*head - 1] = number + 1;
    *head = number + 1;
}

static void list_remove(struct shadow_pages *pool, uint32_t *head, uint64_t slot)
{
    const uint32_t number = number_of(pool, slot);
    const uint32_t next = pool->next[number], before = pool->before[number];

    if (next)
        pool->before[next - 1] = before;
    if (before)
        pool->next[before - 1] = next;
    else
        *head = next;
}

// Pages.

static uint32_t bucket_of(uint64_t table, uint32_t level, bool direct)
{
    const uint64_t mixed =
        (table >> PAGE_SHIFT) * UINT64_C(0x9E3779B97F4A7C15) + level * UINT64_C(2) + direct;

    return (uint32_t)(mixed ^ mixed >> 32) % BUCKETS;
}

uint32_t mhv_pages_find(const struct shadow_pages *pool, uint64_t table, uint32_t level,
                        bool direct)
{
    uint32_t number = pool->buckets[bucket_of(table, level, direct)];

    while (number != NO_PAGE) {
        const struct shadow_page *page = &pool->pages[number];
        if (page->table == table && page->level == level && page->direct == direct)
            break;
        number = page->bucket_next;
    }
    return number;
}

static bool is_busy(const struct way *busy, uint32_t number)
{
    for (uint32_t i = 0; busy && i < busy->count; i++)
        if (busy->pages[i] == number)
            return true;
    return false;
}

static void evict(struct shadow_pages *pool, const struct way *busy)
{
    uint32_t left = pool->count / SHARE_EVICTED, number = pool->oldest;

    while (left > 0 && number != NO_PAGE) {
        const uint32_t newer = pool->pages[number].newer;
        if (!is_busy(busy, number)) {
            mhv_pages_release(pool, number);
            pool->counters.evicted++;
            left--;
        }
        number = newer;
    }
}

uint32_t mhv_pages_make(struct shadow_pages *pool, uint64_t table, uint32_t level, bool direct,
                        const struct way *busy)
{
    uint32_t *bucket = &pool->buckets[bucket_of(table, level, direct)];

    if (pool->free_count == 0)
        evict(pool, busy);
    const uint32_t number = pool->free[--pool->free_count];
    memset(pool->ram.bytes + frame_of(pool, number), 0, PAGE_BYTES);
    pool->pages[number] = (struct shadow_page){.table = table,
                                               .level = level,
                                               .direct = direct,
                                               .bucket_next = *bucket,
                                               .older = pool->newest,
                                               .newer = NO_PAGE};
    *bucket = number;
    if (pool->newest == NO_PAGE)
        pool->oldest = number;
    else
        pool->pages[pool->newest].newer = number;
    pool->newest = number;
    pool->counters.pages++;
    if (pool->counters.pages > pool->counters.peak)
        pool->counters.peak = pool->counters.pages;
    return number;
}

// Writes the numbers of the pages that mirror the guest's table in the frame of `spa` into `found`,
// which has room for five, from the top level down; how many there are.
uint32_t mhv_pages_mirrors(const struct shadow_pages *pool, uint64_t spa, uint32_t *found)
{
    uint32_t count = 0;

    for (uint32_t level = 5; level > 0; level--) {
        const uint32_t number =
            mhv_pages_find(pool, spa & ~(uint64_t)(PAGE_BYTES - 1), level, false);
        if (number != NO_PAGE)
            found[count++] = number;
    }
    return count;
}

bool mhv_pages_is_protected_near(const struct shadow_pages *pool, uint64_t spa)
{
    return spa < pool->ram.byte_count && pool->tables_near[spa >> LARGE_SHIFT] > 0;
}

bool mhv_pages_is_protected(const struct shadow_pages *pool, uint64_t spa)
{
    uint32_t found[5];

    if (!mhv_pages_is_protected_near(pool, spa))
        return false;
    for (uint32_t count = mhv_pages_mirrors(pool, spa, found); count > 0; count--)
        if (pool->pages[found[count - 1]].in_sync)
            return true;
    return false;
}

// Slots.

static bool is_leaf(const struct shadow_pages *pool, uint64_t slot, uint64_t entry)
{
    return entry & LARGE || pool->pages[(slot - pool->base) >> PAGE_SHIFT].level == 1;
}

static uint32_t child_number(const struct shadow_pages *pool, uint64_t entry)
{
    return (uint32_t)(((entry & FRAME) - pool->base) >> PAGE_SHIFT);
}

// Where the slots are listed that hold a writable leaf like `entry`. No guest has memory outside.
static uint32_t *writable_list(struct shadow_pages *pool, uint64_t entry)
{
    const uint64_t spa = entry & FRAME;

    return entry & LARGE ? &pool->writable_large[spa >> LARGE_SHIFT]
                         : &pool->writable[spa >> PAGE_SHIFT];
}

uint32_t mhv_pages_child(const struct shadow_pages *pool, uint64_t slot)
{
    const uint64_t entry = read_u64(pool->ram, slot);

    return !(entry & PRESENT) || is_leaf(pool, slot, entry) ? NO_PAGE : child_number(pool, entry);
}

void mhv_pages_zap(struct shadow_pages *pool, uint64_t slot)
{
    const uint64_t entry = read_u64(pool->ram, slot);

    if (!(entry & PRESENT))
        return;
    if (!is_leaf(pool, slot, entry))
        list_remove(pool, &pool->pages[child_number(pool, entry)].parents, slot);
    else if (entry & WRITABLE)
        list_remove(pool, writable_list(pool, entry), slot);
    write_u64(pool->ram, slot, 0);
    pool->stale = true;
}

// Whether `slot` holds `value` only now. One that only allows more takes no translation away.
static bool put(struct shadow_pages *pool, uint64_t slot, uint64_t value)
{
    const uint64_t held = read_u64(pool->ram, slot);
    const bool was_stale = pool->stale;

    if (held == value)
        return false;
    mhv_pages_zap(pool, slot);
    if (!(held & ~value) && (held | WRITE_RIGHT) == value)
        pool->stale = was_stale;
    write_u64(pool->ram, slot, value);
    return true;
}

void mhv_pages_link(struct shadow_pages *pool, uint64_t slot, uint32_t child, uint64_t rights)
{
    if (put(pool, slot, frame_of(pool, child) | PRESENT | ACCESSED | rights))
        list_add(pool, &pool->pages[child].parents, slot);
}

void mhv_pages_put_leaf(struct shadow_pages *pool, uint64_t slot, uint64_t value)
{
    if (put(pool, slot, value) && value & WRITABLE)
        list_add(pool, writable_list(pool, value), slot);
}

static void take_write(struct shadow_pages *pool, uint32_t *head)
{
    const uint64_t slot = slot_of(pool, *head - 1);

    list_remove(pool, head, slot);
    write_u64(pool->ram, slot, read_u64(pool->ram, slot) & ~WRITE_RIGHT);
    pool->stale = true;
}

void mhv_pages_take_writes(struct shadow_pages *pool)
{
    for (uint32_t number = pool->oldest; number != NO_PAGE; number = pool->pages[number].newer) {
        for (uint32_t index = 0; index < SLOTS; index++) {
            const uint64_t slot = frame_of(pool, number) + UINT64_C(8) * index;
            const uint64_t entry = read_u64(pool->ram, slot);
            if (!(entry & PRESENT) || !(entry & WRITABLE) || !is_leaf(pool, slot, entry))
                continue;
            list_remove(pool, writable_list(pool, entry), slot);
            write_u64(pool->ram, slot, entry & ~WRITE_RIGHT);
            pool->stale = true;
        }
    }
}

void mhv_pages_protect(struct shadow_pages *pool, uint32_t number)
{
    struct shadow_page *page = &pool->pages[number];
    const uint64_t table = page->table;

    page->in_sync = true;
    if (table >= pool->ram.byte_count)
        return;
    pool->tables_near[table >> LARGE_SHIFT]++;
    while (pool->writable[table >> PAGE_SHIFT])
        take_write(pool, &pool->writable[table >> PAGE_SHIFT]);
    while (pool->writable_large[table >> LARGE_SHIFT])
        mhv_pages_zap(pool, slot_of(pool, pool->writable_large[table >> LARGE_SHIFT] - 1));
}

void mhv_pages_let_go(struct shadow_pages *pool, uint32_t number)
{
    struct shadow_page *page = &pool->pages[number];

    if (page->in_sync && page->table < pool->ram.byte_count)
        pool->tables_near[page->table >> LARGE_SHIFT]--;
    page->in_sync = false;
}

static void forget(struct shadow_pages *pool, uint32_t number)
{
    const struct shadow_page *page = &pool->pages[number];
    uint32_t *link = &pool->buckets[bucket_of(page->table, page->level, page->direct)];

    while (*link != number)
        link = &pool->pages[*link].bucket_next;
    *link = page->bucket_next;
    if (page->older == NO_PAGE)
        pool->oldest = page->newer;
    else
        pool->pages[page->older].newer = page->newer;
    if (page->newer == NO_PAGE)
        pool->newest = page->older;
    else
        pool->pages[page->newer].older = page->older;
}

void mhv_pages_release(struct shadow_pages *pool, uint32_t number)
{
    while (pool->pages[number].parents)
        mhv_pages_zap(pool, slot_of(pool, pool->pages[number].parents - 1));
    for (uint32_t index = 0; index < SLOTS; index++)
        mhv_pages_zap(pool, frame_of(pool, number) + UINT64_C(8) * index);
    mhv_pages_let_go(pool, number);
    forget(pool, number);
    pool->free[pool->free_count++] = number;
    pool->counters.pages--;
    pool->stale = true;
}
