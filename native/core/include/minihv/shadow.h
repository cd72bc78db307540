#ifndef MINIHV_SHADOW_H
#define MINIHV_SHADOW_H
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// How shadow tables follow the guest's.
enum mhv_shadow_policy {
    MHV_SHADOW_TRAP = 0,   // mirrored tables are write-protected, each write to one is heard
    MHV_SHADOW_UNSYNC = 1, // one of the lowest level is let go at its first write
    MHV_SHADOW_FLUSH = 2,  // nothing is protected, all is thrown away at a flush
};

enum { MHV_SHADOW_FEWEST_PAGES = 16 };

struct mhv_shadow_options {
    struct mhv_paging second; // the guest's second-level tables
    uint64_t base;            // SPA of a run of frames for shadow pages
    uint32_t page_count;      // frames in the run, at least MHV_SHADOW_FEWEST_PAGES
    uint32_t policy;          // enum mhv_shadow_policy
    bool keep_large;          // pages of 2 MiB stay whole where they can
};

// Who keeps the shadow tables of a partition: the C core, or the Python reference through
// callbacks. Each function is that of the same name below.
struct mhv_shadow_service {
    void *user;
    uint64_t (*root)(void *user, const struct mhv_paging *guest);
    void (*fill)(void *user, const struct mhv_paging *guest, uint64_t gva,
                 const struct mhv_access *access, struct mhv_walk_result *ret);
    void (*written)(void *user, uint64_t spa, uint64_t byte_count);
    void (*invalidate_page)(void *user, const struct mhv_paging *guest, uint64_t gva);
    void (*invalidate_all)(void *user);
    void (*drop)(void *user);
    bool (*take_stale)(void *user);
    struct mhv_shadow_service *next; // of the same processor
};

struct mhv_shadow_counters {
    uint32_t pages; // in use
    uint32_t peak;  // the most that were
    uint64_t evicted;
};

struct mhv_shadow;

// NULL: the host has no memory left, or there are too few frames.
struct mhv_shadow *mhv_shadow_create(const struct mhv_ram *ram,
                                     const struct mhv_shadow_options *options);
void mhv_shadow_destroy(struct mhv_shadow *shadow);

// Has `service` mean `shadow`.
void mhv_shadow_serve(struct mhv_shadow *shadow, struct mhv_shadow_service *service);

// SPA of the top shadow table for the guest's `root`; UINT64_MAX when that is no memory of the
// guest.
uint64_t mhv_shadow_root(struct mhv_shadow *shadow, const struct mhv_paging *guest);

// What ring -1 makes of an access that the shadow tables did not allow. The outcome is that of
// mhv_nested_walk where the guest is to know of it. MHV_MAPPED: try again. MHV_EMULATE: write at
// `spa` for the guest, and tell by mhv_shadow_written.
void mhv_shadow_fill(struct mhv_shadow *shadow, const struct mhv_paging *guest, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_result *ret);

// Somebody else than the guest has written to memory.
void mhv_shadow_written(struct mhv_shadow *shadow, uint64_t spa, uint64_t byte_count);

// INVLPG; and writes to CR3 or to a control register that flushes.
void mhv_shadow_invalidate_page(struct mhv_shadow *shadow, const struct mhv_paging *guest,
                                uint64_t gva);
void mhv_shadow_invalidate_all(struct mhv_shadow *shadow);

// Forgets everything: second-level tables were changed.
void mhv_shadow_drop(struct mhv_shadow *shadow);

// No slot allows to write any more: D bits of the second level were cleared.
void mhv_shadow_take_writes(struct mhv_shadow *shadow);

// Whether a translation was taken away since the last call: the processor must forget what it
// knows.
bool mhv_shadow_take_stale(struct mhv_shadow *shadow);

void mhv_shadow_count(const struct mhv_shadow *shadow, struct mhv_shadow_counters *ret);

#endif
