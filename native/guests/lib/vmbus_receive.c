// Receives packets into the guest's own memory, and sleeps while there are none.

#include "lib/vmbus_bus.h"

// What was read makes room at the host's end, which it may be waiting for.
static void give_room_back(struct vmbus_channel *channel)
{
    if (mhv_ring_commit_read(&channel->from_host))
        vmbus_signal(channel->offer);
}

// True: something is there already, and there may be no signal for it.
static bool ask_for_signals(struct vmbus_channel *channel)
{
    give_room_back(channel);
    channel->is_masked = false;
    return mhv_ring_unmask(&channel->from_host);
}

static void refuse_signals(struct vmbus_channel *channel)
{
    if (!channel->is_masked)
        mhv_ring_mask(&channel->from_host);
    channel->is_masked = true;
}

static void describe(struct vmbus_packet *ret, const struct mhv_ring_packet *packet, uint8_t *bytes)
{
    ret->header = (struct vmbus_header){packet->kind, packet->flags, packet->transaction_id};
    ret->payload = bytes + packet->payload_offset;
    ret->payload_bytes = packet->payload_bytes;
}

enum vmbus_outcome vmbus_receive(struct vmbus_channel *channel, void *buffer, uint32_t buffer_bytes,
                                 struct vmbus_packet *ret)
{
    struct mhv_ring_packet packet;
    struct mhv_ring_result result;

    do {
        result = mhv_ring_read(&channel->from_host, buffer, buffer_bytes, &packet);
    } while (result.outcome == MHV_RING_EMPTY && ask_for_signals(channel));
    switch (result.outcome) {
    case MHV_RING_OK:
        refuse_signals(channel);
        describe(ret, &packet, buffer);
        return VMBUS_OK;
    case MHV_RING_EMPTY:
        return channel->offer->is_rescinded ? VMBUS_GONE : VMBUS_EMPTY;
    case MHV_RING_SMALL:
        ret->payload_bytes = result.detail;
        return VMBUS_TOO_LONG;
    default:
        return VMBUS_CORRUPT;
    }
}

enum vmbus_outcome vmbus_wait(struct vmbus_channel *channel)
{
    while (!ask_for_signals(channel)) {
        if (channel->offer->is_rescinded)
            return VMBUS_GONE;
        vmbus_idle();
    }
    return VMBUS_OK;
}
