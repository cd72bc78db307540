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
static inline struct mhv_ring_result make_room(struct mhv_ring *ring, uint64_t needed)
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
static uint32_t put(const struct mhv_ring *ring, uint32_t index, const void *bytes,
                    uint32_t byte_count)
{
    const uint8_t *from = bytes;

    while (byte_count != 0) {
        uint32_t room;
        uint8_t *place = at(ring, index, &room);
        const uint32_t step = byte_count < room ? byte_count : room;

        copy_to_ring(place, from, step);
        from += step;
        byte_count -= step;
        index = ahead(ring, index, step);
    }
    return index;
}

// A packet as it goes into the ring: what is before and behind its parts. Words, because what is
// put together from smaller stores can be loaded as a whole only when all of them are done.
struct framed {
    uint64_t low, high; // as struct mhv_packet_descriptor
    uint64_t trailer;   // as struct mhv_packet_trailer
    uint32_t padding;
    uint32_t byte_count; // of all
};

static inline struct framed frame(const struct mhv_ring_head *head, uint32_t position,
                                  uint32_t length)
{
    const uint64_t units = (length + UNIT - 1) / UNIT;
    const uint64_t offset = (DESCRIPTOR_BYTES + head->extension_bytes) / UNIT;

    return (struct framed){
        .low = head->kind | offset << 16 | units << 32 | (uint64_t)head->flags << 48,
        .high = head->transaction_id,
        .trailer = (uint64_t)position << 32,
        .padding = (uint32_t)units * UNIT - length,
        .byte_count = (uint32_t)units * UNIT + TRAILER_BYTES,
    };
}

static void put_in_pieces(struct mhv_ring *ring, struct framed framed,
                          const struct mhv_ring_part *parts, uint32_t part_count)
{
    uint32_t index = put(ring, ring->position, &framed.low, UNIT);

    index = put(ring, index, &framed.high, UNIT);
    for (uint32_t i = 0; i < part_count; i++)
        index = put(ring, index, parts[i].bytes, parts[i].byte_count);
    index = put(ring, index, ZEROS, framed.padding);
    ring->position = put(ring, index, &framed.trailer, UNIT);
}

// Copies a packet to where all of it has room in one piece.
static inline void put_in_one_piece(uint8_t *place, struct framed framed,
                                    const struct mhv_ring_part *parts, uint32_t part_count)
{
    copy_to_ring(place, &framed.low, UNIT);
    copy_to_ring(place + UNIT, &framed.high, UNIT);
    place += DESCRIPTOR_BYTES;
    for (uint32_t i = 0; i < part_count; i++) {
        copy_to_ring(place, parts[i].bytes, parts[i].byte_count);
        place += parts[i].byte_count;
    }
    if (framed.padding != 0)
        copy_to_ring(place, ZEROS, framed.padding);
    copy_to_ring(place + framed.padding, &framed.trailer, UNIT);
}

static void put_packet(struct mhv_ring *ring, struct framed framed,
                       const struct mhv_ring_part *parts, uint32_t part_count)
{
    uint32_t room;
    uint8_t *place = at(ring, ring->position, &room);

    if (framed.byte_count >= room) {
        put_in_pieces(ring, framed, parts, part_count);
        return;
    }
    put_in_one_piece(place, framed, parts, part_count);
    ring->position += framed.byte_count;
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
        put_packet(ring, frame(head, ring->position, (uint32_t)length), parts, part_count);
    return result;
}

static inline struct mhv_ring_part part_of(const struct mhv_ring_batch *batch, uint32_t i)
{
    return (struct mhv_ring_part){.bytes = batch->bytes + batch->offsets[i],
                                  .byte_count = batch->offsets[i + 1] - batch->offsets[i]};
}

// Writes payloads from number `i` on as long as they lie in one piece and in the room that is
// known: what mhv_ring_write does, with less to ask. The number of the first that does not.
static uint32_t write_plain(struct mhv_ring *ring, struct mhv_ring_head head,
                            const struct mhv_ring_batch *batch, uint32_t i)
{
    uint32_t position = ring->position;
    uint32_t room;
    uint8_t *place = at(ring, position, &room);
    const uint32_t free = ring->reason == MHV_RING_REASON_NONE ? free_bytes(ring) : 0;
    uint32_t left = room < free ? room : free;

    for (; i < batch->count; i++) {
        const struct mhv_ring_part part = part_of(batch, i);

        if (part.byte_count >= left || part.byte_count > LONGEST_PACKET - DESCRIPTOR_BYTES)
            break;
        if (batch->transaction_ids != NULL)
            head.transaction_id = batch->transaction_ids[i];
        const struct framed framed = frame(&head, position, DESCRIPTOR_BYTES + part.byte_count);
        if (framed.byte_count >= left)
            break;
        put_in_one_piece(place, framed, &part, 1);
        place += framed.byte_count;
        position += framed.byte_count;
        left -= framed.byte_count;
    }
    ring->position = position;
    return i;
}

struct mhv_ring_result mhv_ring_write_batch(struct mhv_ring *ring, const struct mhv_ring_head *head,
                                            const struct mhv_ring_batch *batch, uint32_t *ret)
{
    struct mhv_ring_result result = ended(MHV_RING_OK, 0);
    struct mhv_ring_head own = *head;
    uint32_t i = write_plain(ring, own, batch, 0);

    while (i < batch->count) {
        const struct mhv_ring_part part = part_of(batch, i);

        if (batch->transaction_ids != NULL)
            own.transaction_id = batch->transaction_ids[i];
        result = mhv_ring_write(ring, &own, &part, 1);
        if (result.outcome != MHV_RING_OK)
            break;
        i = write_plain(ring, own, batch, i + 1);
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
