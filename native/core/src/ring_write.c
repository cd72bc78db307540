// The sending end of a ring. Twin of RingWriter in minihv/vmbus/ring.py; read that first.
//
// Spec: Linux, "drivers/hv/ring_buffer.c" (hv_ringbuffer_write, hv_signal_on_write).
// Simplified: as the Python twin. The two are held equal by tests/twins/test_ring.py.

#include "ring_parts.h"

enum { LONGEST_PACKET = 0xFFFF * UNIT };

static const uint8_t ZEROS[UNIT];

static uint32_t free_bytes(const struct mhv_ring *ring)
{
    return ring->byte_count - distance(ring, ring->peer, ring->position);
}

// Loads the receiver's index, once, and believes it if it lies between where it was and what was
// published.
static bool refresh_out(struct mhv_ring *ring)
{
    // acquire: pairs with the release of read_index in mhv_ring_publish_read, so that what is
    // overwritten has been read.
    const uint32_t out = load_acquire(&ring->control->read_index, TAKE_OUT);
    enum mhv_ring_reason reason = index_fault(ring, out);

    if (reason == MHV_RING_REASON_NONE &&
        distance(ring, ring->peer, out) > distance(ring, ring->peer, ring->published))
        reason = MHV_RING_REASON_INDEX_JUMPED;
    if (reason != MHV_RING_REASON_NONE) {
        corrupt(ring, reason);
        return false;
    }
    ring->peer = out;
    return true;
}

// A ring is never filled completely: full would look like empty.
static struct mhv_ring_result make_room(struct mhv_ring *ring, uint64_t needed)
{
    if (ring->reason != MHV_RING_REASON_NONE)
        return ended(MHV_RING_CORRUPT, ring->reason);
    if (needed < free_bytes(ring))
        return ended(MHV_RING_OK, 0);
    if (!refresh_out(ring))
        return ended(MHV_RING_CORRUPT, ring->reason);
    if (needed < free_bytes(ring))
        return ended(MHV_RING_OK, 0);
    return ended(MHV_RING_FULL, (uint32_t)needed);
}

// Copies to the ring from `index` on, and returns the index behind.
static uint32_t put(const struct mhv_ring *ring, uint32_t index, const uint8_t *bytes,
                    uint32_t byte_count)
{
    while (byte_count != 0) {
        uint32_t room;
        uint8_t *place = at(ring, index, &room);
        const uint32_t step = byte_count < room ? byte_count : room;

        copy_to_ring(place, bytes, step);
        bytes += step;
        byte_count -= step;
        index = ahead(ring, index, step);
    }
    return index;
}

static void put_packet(struct mhv_ring *ring, const struct mhv_ring_head *head,
                       const struct mhv_ring_part *parts, uint32_t part_count, uint32_t length)
{
    const struct mhv_packet_descriptor descriptor = {
        .kind = head->kind,
        .payload_offset8 = (uint16_t)((DESCRIPTOR_BYTES + head->extension_bytes) / UNIT),
        .length8 = (uint16_t)((length + UNIT - 1) / UNIT),
        .flags = head->flags,
        .transaction_id = head->transaction_id,
    };
    const struct mhv_packet_trailer trailer = {.begin_index = ring->position};
    uint32_t index = put(ring, ring->position, (const uint8_t *)&descriptor, sizeof descriptor);

    for (uint32_t i = 0; i < part_count; i++)
        index = put(ring, index, parts[i].bytes, parts[i].byte_count);
    index = put(ring, index, ZEROS, descriptor.length8 * UNIT - length);
    ring->position = put(ring, index, (const uint8_t *)&trailer, sizeof trailer);
}

struct mhv_ring_result mhv_ring_write(struct mhv_ring *ring, const struct mhv_ring_head *head,
                                      const struct mhv_ring_part *parts, uint32_t part_count)
{
    uint64_t length = DESCRIPTOR_BYTES;

    for (uint32_t i = 0; i < part_count; i++)
        length += parts[i].byte_count;
    const uint64_t needed = (length + UNIT - 1) / UNIT * UNIT + TRAILER_BYTES;
    if (length > LONGEST_PACKET || needed >= ring->byte_count)
        return ended(MHV_RING_TOO_LONG, needed > UINT32_MAX ? UINT32_MAX : (uint32_t)needed);
    const struct mhv_ring_result result = make_room(ring, needed);
    if (result.outcome == MHV_RING_OK)
        put_packet(ring, head, parts, part_count, (uint32_t)length);
    return result;
}

struct mhv_ring_result mhv_ring_write_batch(struct mhv_ring *ring, const struct mhv_ring_head *head,
                                            const struct mhv_ring_batch *batch, uint32_t *ret)
{
    struct mhv_ring_result result = ended(MHV_RING_OK, 0);
    struct mhv_ring_head own = *head;
    uint32_t i = 0;

    for (; i < batch->count; i++) {
        const struct mhv_ring_part part = {.bytes = batch->bytes + batch->offsets[i],
                                           .byte_count = batch->offsets[i + 1] - batch->offsets[i]};

        if (batch->transaction_ids != NULL)
            own.transaction_id = batch->transaction_ids[i];
        result = mhv_ring_write(ring, &own, &part, 1);
        if (result.outcome != MHV_RING_OK)
            break;
    }
    *ret = i;
    return i != 0 ? ended(MHV_RING_OK, 0) : result;
}

void mhv_ring_publish_write(struct mhv_ring *ring)
{
    if (ring->published == ring->position)
        return;
    note_published(ring);
    // release: pairs with the acquire of write_index in refresh_in, so that whoever sees the index
    // sees the packets.
    store_release(&ring->control->write_index, ring->position, PUBLISH_IN);
}

bool mhv_ring_commit_write(struct mhv_ring *ring)
{
    const uint32_t before = ring->undecided;
    const uint32_t last = ring->published;

    mhv_ring_publish_write(ring);
    if (ring->undecided == 0)
        return false;
    ring->undecided = 0;
    if (ring->pending != 0) {
        ring->pending = 0;
        // relaxed: a receiver that still sees the wish signals once too often.
        store_relaxed(&ring->control->pending_send_size, 0);
    }
    // store of write_index, then loads of what the receiver said: pairs with the barrier in
    // mhv_ring_unmask. One of the two sees what the other stored.
    full_barrier(IN_BEFORE_MASK);
    // relaxed, both: the barrier is before either, and their order is of no matter.
    if (load_relaxed(&ring->control->interrupt_mask) != 0)
        return false;
    // The receiver sleeps only where it took the ring for empty: at an index published before.
    const uint32_t out = load_relaxed(&ring->control->read_index);
    return before >= ring->byte_count || distance(ring, out, last) <= before;
}

struct mhv_ring_result mhv_ring_await_room(struct mhv_ring *ring, uint32_t needed)
{
    ring->pending = needed;
    // relaxed: the barrier below orders it, and all that was published before.
    store_relaxed(&ring->control->pending_send_size, needed);
    // store of pending_send_size, then load of read_index: pairs with the barrier in
    // mhv_ring_commit_read. One of the two sees what the other stored.
    full_barrier(PENDING_BEFORE_OUT);
    // What was known of the receiver before does not count.
    if (ring->reason == MHV_RING_REASON_NONE && refresh_out(ring) && needed >= free_bytes(ring))
        return ended(MHV_RING_FULL, needed);
    ring->pending = 0;
    store_relaxed(&ring->control->pending_send_size, 0);
    return ring->reason == MHV_RING_REASON_NONE ? ended(MHV_RING_OK, 0)
                                                : ended(MHV_RING_CORRUPT, ring->reason);
}
