#ifndef MINIHV_BARE_H
#define MINIHV_BARE_H
#include "minihv/engine.h"
#include <stdbool.h>
#include <stdint.h>

// The engine without minihv: the other side of `minihv bench`. It executes machine code in SVM
// guest mode with the least that is needed for that: every page is there, and an intercept is
// stepped over.

struct mhv_bare;

// What the hooks were called for since mhv_bare_create.
struct mhv_bare_counters {
    uint64_t fills;
    uint64_t intercepts;
};

// An engine over `bytes`, of which the first 64 KiB are its own. GVA = SPA. NULL: it does not work
// here.
struct mhv_bare *mhv_bare_create(const struct mhv_engine_api *api, uint8_t *bytes,
                                 uint64_t byte_count);
void mhv_bare_destroy(struct mhv_bare *bare);

// Executes from `rip`, with `rcx` in RCX, until HLT. False: something else ended it.
bool mhv_bare_run(struct mhv_bare *bare, uint64_t rip, uint64_t rcx);
void mhv_bare_count(const struct mhv_bare *bare, struct mhv_bare_counters *ret);

#endif
