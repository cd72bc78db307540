// Ways down the first stage's tables that are known from earlier walks: a paging-structure cache.
//
// Stands for: the page-walk cache of a processor; a way is of use until the guest invalidates.
// Spec: AMD APM vol. 2, "Translation-Lookaside Buffer"; Intel SDM vol. 3A, "Caching Translation
// Information". Private to walk.c and nested.c.
#ifndef MINIHV_WAYS_H
#define MINIHV_WAYS_H
#include "stage.h"

#include <stddef.h>

static inline struct mhv_guest_slot *way_slot(struct mhv_walk_cache *cache, uint64_t gva)
{
    const uint64_t number = gva >> 21;

    return &cache->ways[(number ^ number >> 5) % 32];
}

static inline bool same_tables(const struct mhv_paging *one, const struct mhv_paging *other)
{
    return one->root == other->root && one->levels == other->levels && one->nxe == other->nxe &&
           one->physical_bits == other->physical_bits;
}

// The way to the lowest table for `gva`, when a walk went it since the guest last invalidated.
static inline const struct mhv_guest_slot *known_way(const struct mhv_paging *guest,
                                                     struct mhv_walk_cache *cache, uint64_t gva)
{
    const struct mhv_guest_slot *slot = way_slot(cache, gva);

    if (!same_tables(&cache->guest, guest)) {
        cache->guest = *guest;
        cache->epoch++;
    }
    return slot->tag == (gva >> 21) + 1 && slot->epoch == cache->epoch ? slot : NULL;
}

// From now on the way to the lowest table for `gva` is known.
static inline void keep_way(struct mhv_walk_cache *cache, uint64_t gva, uint64_t entry_pa,
                            const struct stage *stage, uint32_t references)
{
    *way_slot(cache, gva) = (struct mhv_guest_slot){(gva >> 21) + 1, cache->epoch, entry_pa & FRAME,
                                                    stage->rights, references};
}

#endif
