// Opens and closes channels: two rings in one GPADL, and the host's consent.

#include "lib/memory.h"
#include "lib/vmbus_bus.h"
#include <stddef.h>

enum { PAGE_BYTES = 4096 };

static bool rings_are_legal(struct vmbus_rings rings)
{
    return rings.memory && (uint64_t)rings.memory % PAGE_BYTES == 0 && rings.to_host_pages >= 1 &&
           rings.to_host_pages <= VMBUS_MOST_RING_PAGES && rings.from_host_pages >= 1 &&
           rings.from_host_pages <= VMBUS_MOST_RING_PAGES;
}

// The ring at `memory`: its page of indices, then its data.
static void make_ring(struct mhv_ring *ring, uint8_t *memory, uint32_t page_count)
{
    struct mhv_ring_control *control = (struct mhv_ring_control *)memory;

    mhv_ring_clear(control);
    mhv_ring_attach(ring, control, memory + PAGE_BYTES, NULL, page_count * PAGE_BYTES);
}

static void make_rings(struct vmbus_channel *channel, struct vmbus_rings rings)
{
    uint8_t *from_host = (uint8_t *)rings.memory + (1ULL + rings.to_host_pages) * PAGE_BYTES;

    memset(rings.memory, 0,
           (uint64_t)(2 + rings.to_host_pages + rings.from_host_pages) * PAGE_BYTES);
    make_ring(&channel->to_host, rings.memory, rings.to_host_pages);
    make_ring(&channel->from_host, from_host, rings.from_host_pages);
}

static enum vmbus_outcome ask_to_open(const struct vmbus_channel *channel, uint32_t from_host_page)
{
    const uint32_t relid = channel->offer->relid;
    const struct vmbus_open_message message = {
        .head = {VMBUS_OPEN_CHANNEL, 0},
        .relid = relid,
        .open_id = relid,
        .gpadl = channel->gpadl,
        .target_vp = 0,
        .from_host_page = from_host_page,
    };
    struct vmbus_result_message result;

    enum vmbus_outcome outcome = vmbus_post(&message, sizeof(message));
    if (outcome != VMBUS_OK)
        return outcome;
    outcome = vmbus_await(VMBUS_OPEN_RESULT, relid, channel->offer);
    if (outcome != VMBUS_OK)
        return outcome;
    memcpy(&result, vmbus_bus.reply.payload, sizeof(result));
    return result.status == 0 ? VMBUS_OK : VMBUS_REFUSED;
}

// A rescinded offer is given back by whoever held it last.
static void let_go(struct vmbus_offer *offer)
{
    offer->is_open = false;
    if (offer->is_rescinded)
        vmbus_release(offer);
}

enum vmbus_outcome vmbus_open(struct vmbus_channel *channel, const struct vmbus_offer *offer,
                              struct vmbus_rings rings)
{
    const uint32_t page_count = 2 + rings.to_host_pages + rings.from_host_pages;

    if (!offer || offer->relid == 0 || offer->is_open || offer->is_rescinded)
        return VMBUS_NO_OFFER;
    if (!rings_are_legal(rings))
        return VMBUS_INVALID;
    memset(channel, 0, sizeof(*channel));
    channel->offer = vmbus_offer_of(offer->relid);
    channel->offer->is_open = true;
    make_rings(channel, rings);
    enum vmbus_outcome outcome =
        vmbus_gpadl_create(offer->relid, rings.memory, page_count, &channel->gpadl);
    if (outcome == VMBUS_OK) {
        outcome = ask_to_open(channel, 1 + rings.to_host_pages);
        if (outcome != VMBUS_OK)
            vmbus_gpadl_teardown(offer->relid, channel->gpadl);
    }
    if (outcome != VMBUS_OK)
        let_go(channel->offer);
    return outcome;
}

enum vmbus_outcome vmbus_close(struct vmbus_channel *channel)
{
    struct vmbus_offer *offer = channel->offer;
    const struct vmbus_relid_message message = {{VMBUS_CLOSE_CHANNEL, 0}, offer->relid};

    if (!offer->is_open)
        return VMBUS_NO_OFFER;
    enum vmbus_outcome outcome = vmbus_post(&message, sizeof(message));
    if (outcome == VMBUS_OK)
        outcome = vmbus_gpadl_teardown(offer->relid, channel->gpadl);
    let_go(offer);
    return outcome;
}
