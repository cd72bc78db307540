// Sends packets: into the ring, and a signal where the host may be asleep.

#include "lib/vmbus_bus.h"

enum { DESCRIPTOR_BYTES = 16, TRAILER_BYTES = 8, PAGE_BYTES = 4096 };

static enum vmbus_outcome outcome_of(struct mhv_ring_result result)
{
    switch (result.outcome) {
    case MHV_RING_OK:
        return VMBUS_OK;
    case MHV_RING_FULL:
        return VMBUS_FULL;
    case MHV_RING_CORRUPT:
        return VMBUS_CORRUPT;
    default:
        return VMBUS_INVALID;
    }
}

// The first `extension_bytes` of the parts are header, and not payload.
static enum vmbus_outcome queue_extended(struct vmbus_channel *channel, struct vmbus_header header,
                                         const struct vmbus_part *parts, uint32_t part_count,
                                         uint32_t extension_bytes)
{
    const struct mhv_ring_head head = {header.transaction_id, header.kind, header.flags,
                                       extension_bytes};
    struct mhv_ring_part places[VMBUS_MOST_PARTS];

    if (channel->offer->is_rescinded)
        return VMBUS_GONE;
    if (part_count > VMBUS_MOST_PARTS)
        return VMBUS_INVALID;
    for (uint32_t i = 0; i < part_count; i++)
        places[i] = (struct mhv_ring_part){parts[i].bytes, parts[i].byte_count};
    return outcome_of(mhv_ring_write(&channel->to_host, &head, places, part_count));
}

static enum vmbus_outcome queue_parts(struct vmbus_channel *channel, struct vmbus_header header,
                                      const struct vmbus_part *parts, uint32_t part_count)
{
    return queue_extended(channel, header, parts, part_count, 0);
}

enum vmbus_outcome vmbus_queue_direct(struct vmbus_channel *channel, struct vmbus_header header,
                                      struct vmbus_part memory, struct vmbus_part payload)
{
    static uint64_t pages[VMBUS_MOST_DIRECT_PAGES];
    const uint64_t gpa = (uintptr_t)memory.bytes;
    const uint64_t page_count =
        (gpa % PAGE_BYTES + memory.byte_count + PAGE_BYTES - 1) / PAGE_BYTES;
    const uint32_t begin[] = {0, 1, memory.byte_count, (uint32_t)(gpa % PAGE_BYTES)};
    const uint32_t list_bytes = (uint32_t)(page_count * sizeof(pages[0]));
    const struct vmbus_part parts[] = {{begin, sizeof(begin)}, {pages, list_bytes}, payload};

    if (page_count > VMBUS_MOST_DIRECT_PAGES)
        return VMBUS_INVALID;
    for (uint64_t i = 0; i < page_count; i++)
        pages[i] = gpa / PAGE_BYTES + i;
    return queue_extended(channel, header, parts, 3, (uint32_t)sizeof(begin) + list_bytes);
}

enum vmbus_outcome vmbus_publish(struct vmbus_channel *channel)
{
    if (channel->offer->is_rescinded)
        return VMBUS_GONE;
    if (mhv_ring_commit_write(&channel->to_host))
        vmbus_signal(channel->offer);
    return channel->to_host.reason == 0 ? VMBUS_OK : VMBUS_CORRUPT;
}

enum vmbus_outcome vmbus_queue(struct vmbus_channel *channel, struct vmbus_header header,
                               const void *payload, uint32_t payload_bytes)
{
    const struct vmbus_part part = {payload, payload_bytes};

    return queue_parts(channel, header, &part, 1);
}

enum vmbus_outcome vmbus_send_parts(struct vmbus_channel *channel, struct vmbus_header header,
                                    const struct vmbus_part *parts, uint32_t part_count)
{
    const enum vmbus_outcome outcome = queue_parts(channel, header, parts, part_count);

    return outcome == VMBUS_OK ? vmbus_publish(channel) : outcome;
}

enum vmbus_outcome vmbus_send(struct vmbus_channel *channel, struct vmbus_header header,
                              const void *payload, uint32_t payload_bytes)
{
    const struct vmbus_part part = {payload, payload_bytes};

    return vmbus_send_parts(channel, header, &part, 1);
}

// Idles until more than `byte_count` bytes of the ring are free. What was queued is published
// before: the host cannot make room by reading what it does not see.
static enum vmbus_outcome wait_for_free(struct vmbus_channel *channel, uint32_t byte_count)
{
    enum vmbus_outcome outcome = vmbus_publish(channel);

    while (outcome == VMBUS_OK) {
        outcome = outcome_of(mhv_ring_await_room(&channel->to_host, byte_count));
        if (outcome != VMBUS_FULL)
            return outcome;
        vmbus_idle();
        outcome = channel->offer->is_rescinded ? VMBUS_GONE : VMBUS_OK;
    }
    return outcome;
}

enum vmbus_outcome vmbus_wait_room(struct vmbus_channel *channel, uint32_t payload_bytes)
{
    const uint64_t packet_bytes =
        DESCRIPTOR_BYTES + ((uint64_t)payload_bytes + 7) / 8 * 8 + TRAILER_BYTES;

    if (packet_bytes >= channel->to_host.byte_count)
        return VMBUS_INVALID;
    return wait_for_free(channel, (uint32_t)packet_bytes);
}

// Only an empty ring has all but 8 bytes to give.
enum vmbus_outcome vmbus_wait_drained(struct vmbus_channel *channel)
{
    return wait_for_free(channel, channel->to_host.byte_count - 8);
}
