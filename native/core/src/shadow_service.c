// The C shadow tables as the run loop asks for them. Twin of Callbacks in minihv/machine/shadow.py.
//
// Stands for: the seam between ring -1's shadow tables and the exits that need them.
// Simplified: none known. tests/unit/machine/test_shadow.py runs a guest on either.

#include "minihv/shadow.h"

static uint64_t serve_root(void *user, const struct mhv_paging *guest)
{
    return mhv_shadow_root(user, guest);
}

static void serve_fill(void *user, const struct mhv_paging *guest, uint64_t gva,
                       const struct mhv_access *access, struct mhv_walk_result *ret)
{
    mhv_shadow_fill(user, guest, gva, *access, ret);
}

static void serve_written(void *user, uint64_t spa, uint64_t byte_count)
{
    mhv_shadow_written(user, spa, byte_count);
}

static void serve_invalidate_page(void *user, const struct mhv_paging *guest, uint64_t gva)
{
    mhv_shadow_invalidate_page(user, guest, gva);
}

static void serve_invalidate_all(void *user)
{
    mhv_shadow_invalidate_all(user);
}

static void serve_drop(void *user)
{
    mhv_shadow_drop(user);
}

static bool serve_take_stale(void *user)
{
    return mhv_shadow_take_stale(user);
}

void mhv_shadow_serve(struct mhv_shadow *shadow, struct mhv_shadow_service *service)
{
    service->user = shadow;
    service->root = serve_root;
    service->fill = serve_fill;
    service->written = serve_written;
    service->invalidate_page = serve_invalidate_page;
    service->invalidate_all = serve_invalidate_all;
    service->drop = serve_drop;
    service->take_stale = serve_take_stale;
}
