// The receiving end of a ring. Twin of RingReader in minihv/vmbus/ring.py; read that first.
//
// Spec: Linux, "drivers/hv/ring_buffer.c" (hv_pkt_iter_first, hv_pkt_iter_close, hv_end_read).
// Simplified: as the Python twin. The two are held equal by tests/twins/test_ring.py.
//
// No word of the data is fetched twice: a descriptor is judged in registers, ranges in the copy.

#include "ring_parts.h"

enum { TOP_KIND = MHV_PACKET_KIND_ADDITIONAL_GPA_DIRECT, KNOWN_FLAGS = 1 };
enum { COPY_BYTES = 1024 }; // at a time, from a ring to a snapshot
enum { RANGES_AT = sizeof(struct mhv_gpa_direct_header), PFN_BYTES = 8, MAX_OFFSET = 4095 };

// A descriptor, and the length in bytes that it gives the packet.
struct found {
    uint64_t low, high; // as struct mhv_packet_descriptor
    uint32_t header_bytes;
    uint32_t length;
    uint16_t kind;
    uint16_t flags;
};

// Loads the sender's index, once, and believes it if it did not go back.
static bool refresh_in(struct mhv_ring *ring)
{
    // acquire: pairs with the release of write_index in mhv_ring_publish_write, so that the packets
    // before it are seen.
    const uint32_t in = load_acquire(&ring->control->write_index, TAKE_IN);
    enum mhv_ring_reason reason = index_fault(ring, in);

    if (reason == MHV_RING_REASON_NONE &&
        distance(ring, ring->published, in) < distance(ring, ring->published, ring->peer))
        reason = MHV_RING_REASON_INDEX_JUMPED;
    if (reason != MHV_RING_REASON_NONE) {
        corrupt(ring, reason);
        return false;
    }
    ring->peer = in;
    return true;
}

// Bytes that may be read, if any: `ret`.
static inline struct mhv_ring_result find_bytes(struct mhv_ring *ring, uint32_t *ret)
{
    if (ring->reason != MHV_RING_REASON_NONE)
        return ended(MHV_RING_CORRUPT, ring->reason);
    if (ring->position == ring->peer && !refresh_in(ring))
        return ended(MHV_RING_CORRUPT, ring->reason);
    if (ring->position == ring->peer)
        return ended(MHV_RING_EMPTY, 0);
    *ret = distance(ring, ring->position, ring->peer);
    return ended(MHV_RING_OK, 0);
}

static bool has_ranges(uint32_t kind)
{
    return kind == MHV_PACKET_KIND_TRANSFER_PAGES || kind == MHV_PACKET_KIND_GPA_DIRECT;
}

static inline struct found decode(uint64_t low, uint64_t high)
{
    return (struct found){.low = low,
                          .high = high,
                          .header_bytes = (uint32_t)(uint16_t)(low >> 16) * UNIT,
                          .length = (uint32_t)(uint16_t)(low >> 32) * UNIT,
                          .kind = (uint16_t)low,
                          .flags = (uint16_t)(low >> 48)};
}

// What is wrong with a descriptor that has `available` bytes, trailers included.
static inline enum mhv_ring_reason descriptor_fault(const struct found *found, uint32_t available)
{
    const uint32_t kind = found->kind;
    const bool extended = has_ranges(kind) || kind == MHV_PACKET_KIND_GPADL;

    if (kind - 1 >= TOP_KIND)
        return MHV_RING_REASON_KIND;
    if (found->flags & ~KNOWN_FLAGS)
        return MHV_RING_REASON_FLAGS;
    if (found->header_bytes < (extended ? (uint32_t)RANGES_AT : (uint32_t)DESCRIPTOR_BYTES))
        return MHV_RING_REASON_PAYLOAD_OFFSET;
    if (found->length < found->header_bytes)
        return MHV_RING_REASON_LENGTH;
    if (found->length + TRAILER_BYTES > available)
        return MHV_RING_REASON_OVERRUN;
    return MHV_RING_REASON_NONE;
}

// What is wrong with the ranges of a packet of which `bytes` is a private copy.
static enum mhv_ring_reason range_fault(const struct found *found, const uint8_t *bytes,
                                        uint32_t *range_count)
{
    const bool pages = found->kind == MHV_PACKET_KIND_GPA_DIRECT;
    struct mhv_gpa_direct_header header;
    uint64_t cursor = RANGES_AT;

    memcpy(&header, bytes, sizeof header);
    if (header.range_count == 0)
        return MHV_RING_REASON_RANGE_COUNT;
    for (uint32_t i = 0; i < header.range_count; i++) {
        struct mhv_gpa_range range;

        if (cursor + sizeof range > found->header_bytes)
            return MHV_RING_REASON_RANGE_OVERRUN;
        memcpy(&range, bytes + cursor, sizeof range);
        cursor += sizeof range;
        if (!pages)
            continue;
        if (range.byte_offset > MAX_OFFSET)
            return MHV_RING_REASON_RANGE_OFFSET;
        const uint64_t end = (uint64_t)range.byte_offset + range.byte_count_of_range;
        cursor += (end + RING_PAGE_BYTES - 1) / RING_PAGE_BYTES * PFN_BYTES;
        if (cursor > found->header_bytes)
            return MHV_RING_REASON_RANGE_OVERRUN;
    }
    *range_count = header.range_count;
    return MHV_RING_REASON_NONE;
}

static inline void describe(struct mhv_ring_packet *packet, const struct found *found,
                            uint32_t offset)
{
    packet->transaction_id = found->high;
    packet->offset = offset;
    packet->payload_offset = offset + found->header_bytes;
    packet->payload_bytes = found->length - found->header_bytes;
    packet->range_count = 0;
    packet->kind = found->kind;
    packet->flags = found->flags;
}

// Copies from the ring from `index` on, around its end or from another page.
static void get_in_pieces(const struct mhv_ring *ring, uint32_t index, uint8_t *bytes,
                          uint32_t byte_count)
{
    while (byte_count != 0) {
        uint32_t room;
        const uint8_t *place = at(ring, index, &room);
        const uint32_t step = byte_count < room ? byte_count : room;

        copy_from_ring(bytes, place, step);
        bytes += step;
        byte_count -= step;
        index = ahead(ring, index, step);
    }
}

// The same; mostly it is one piece.
static inline void get(const struct mhv_ring *ring, uint32_t index, uint8_t *bytes,
                       uint32_t byte_count)
{
    uint32_t room;
    const uint8_t *place = at(ring, index, &room);

    if (byte_count > room)
        get_in_pieces(ring, index, bytes, byte_count);
    else
        copy_from_ring(bytes, place, byte_count);
}

// The next descriptor, fetched and judged.
static inline struct mhv_ring_result find_packet(struct mhv_ring *ring, struct found *found)
{
    uint32_t available = 0;
    uint32_t room;
    const struct mhv_ring_result result = find_bytes(ring, &available);

    if (result.outcome != MHV_RING_OK)
        return result;
    if (available < DESCRIPTOR_BYTES)
        return corrupt(ring, MHV_RING_REASON_CUT_OFF);
    const uint64_t low = fetch(at(ring, ring->position, &room));
    const uint64_t high = fetch(at(ring, ahead(ring, ring->position, UNIT), &room));
    *found = decode(low, high);
    const enum mhv_ring_reason reason = descriptor_fault(found, available);
    return reason == MHV_RING_REASON_NONE ? result : corrupt(ring, reason);
}

// Copies a packet whose descriptor was found, and passes it.
static inline struct mhv_ring_result take(struct mhv_ring *ring, const struct found *found,
                                          uint8_t *buffer, struct mhv_ring_packet *packet)
{
    enum mhv_ring_reason reason = MHV_RING_REASON_NONE;

    memcpy(buffer, &found->low, UNIT);
    memcpy(buffer + UNIT, &found->high, UNIT);
    get(ring, ahead(ring, ring->position, DESCRIPTOR_BYTES), buffer + DESCRIPTOR_BYTES,
        found->length - DESCRIPTOR_BYTES);
    describe(packet, found, 0);
    if (has_ranges(packet->kind))
        reason = range_fault(found, buffer, &packet->range_count);
    if (reason != MHV_RING_REASON_NONE)
        return corrupt(ring, reason);
    ring->position = ahead(ring, ring->position, found->length + TRAILER_BYTES);
    return ended(MHV_RING_OK, 0);
}

struct mhv_ring_result mhv_ring_read(struct mhv_ring *ring, uint8_t *buffer, uint32_t capacity,
                                     struct mhv_ring_packet *packet)
{
    struct found found;
    const struct mhv_ring_result result = find_packet(ring, &found);

    if (result.outcome != MHV_RING_OK)
        return result;
    if (found.length > capacity)
        return ended(MHV_RING_SMALL, found.length);
    return take(ring, &found, buffer, packet);
}

struct mhv_ring_result mhv_ring_read_in_place(struct mhv_ring *ring, uint8_t *buffer,
                                              uint32_t capacity, struct mhv_ring_packet *packet,
                                              const uint8_t **ret)
{
    struct found found;
    uint32_t room;
    const struct mhv_ring_result result = find_packet(ring, &found);

    if (result.outcome != MHV_RING_OK)
        return result;
    const uint8_t *place = at(ring, ring->position, &room);
    if (found.length <= room && !has_ranges(found.kind)) {
        describe(packet, &found, 0);
        *ret = place;
        ring->position = ahead(ring, ring->position, found.length + TRAILER_BYTES);
        return result;
    }
    if (found.length > capacity)
        return ended(MHV_RING_SMALL, found.length);
    *ret = buffer;
    return take(ring, &found, buffer, packet);
}

// What of the ring is copied to the bytes of a snapshot, and may be.
struct copied {
    uint8_t *to;
    uint32_t bytes;
    uint32_t available; // in the ring
    uint32_t limit;     // of those, what fits
    uint32_t parsed;    // of the copied, what whole packets take
};

// There are at least `wanted` bytes of the ring in the copy, copied once; false where they do not
// fit.
static inline bool copy_up_to(const struct mhv_ring *ring, struct copied *copied, uint32_t wanted)
{
    uint32_t end = copied->bytes + COPY_BYTES;

    if (wanted <= copied->bytes)
        return true;
    if (wanted > copied->limit)
        return false;
    end = end < wanted ? wanted : end;
    end = end < copied->limit ? end : copied->limit;
    get(ring, ahead(ring, ring->position, copied->bytes), copied->to + copied->bytes,
        end - copied->bytes);
    copied->bytes = end;
    return true;
}

// Judges the next packet, in the copy.
static inline struct mhv_ring_result parse(struct mhv_ring *ring, struct copied *copied,
                                           struct mhv_ring_packet *packet)
{
    const uint8_t *bytes = copied->to + copied->parsed;
    const uint32_t left = copied->available - copied->parsed;
    enum mhv_ring_reason reason;
    uint64_t words[2];

    if (left < DESCRIPTOR_BYTES)
        return corrupt(ring, MHV_RING_REASON_CUT_OFF);
    if (!copy_up_to(ring, copied, copied->parsed + DESCRIPTOR_BYTES))
        return ended(MHV_RING_SMALL, DESCRIPTOR_BYTES);
    memcpy(words, bytes, sizeof words);
    const struct found found = decode(words[0], words[1]);
    reason = descriptor_fault(&found, left);
    if (reason != MHV_RING_REASON_NONE)
        return corrupt(ring, reason);
    if (!copy_up_to(ring, copied, copied->parsed + found.length))
        return ended(MHV_RING_SMALL, found.length);
    describe(packet, &found, copied->parsed);
    if (has_ranges(found.kind))
        reason = range_fault(&found, bytes, &packet->range_count);
    if (reason != MHV_RING_REASON_NONE)
        return corrupt(ring, reason);
    copied->parsed += found.length + TRAILER_BYTES;
    return ended(MHV_RING_OK, 0);
}

struct mhv_ring_result mhv_ring_read_batch(struct mhv_ring *ring,
                                           struct mhv_ring_snapshot *snapshot)
{
    struct copied copied = {.to = snapshot->bytes};
    struct mhv_ring_packet *const packets = snapshot->packets;
    const uint32_t most = snapshot->packet_capacity;
    uint32_t count = 0;
    struct mhv_ring_result result = find_bytes(ring, &copied.available);

    copied.limit = copied.available < snapshot->capacity ? copied.available : snapshot->capacity;
    while (result.outcome == MHV_RING_OK && copied.parsed < copied.available && count < most) {
        result = parse(ring, &copied, &packets[count]);
        count += result.outcome == MHV_RING_OK;
    }
    ring->position = ahead(ring, ring->position, copied.parsed);
    snapshot->count = count;
    return count != 0 ? ended(MHV_RING_OK, 0) : result;
}

void mhv_ring_publish_read(struct mhv_ring *ring)
{
    if (ring->published == ring->position)
        return;
    note_published(ring);
    // release: pairs with the acquire of read_index in refresh_out, so that what was read is not
    // overwritten before.
    store_release(&ring->control->read_index, ring->position, PUBLISH_OUT);
}

bool mhv_ring_commit_read(struct mhv_ring *ring)
{
    mhv_ring_publish_read(ring);
    const uint32_t freed = ring->undecided;
    if (freed == 0)
        return false;
    ring->undecided = 0;
    // relaxed: it is what it is from the begin on, or a lie.
    if (!(load_relaxed(&ring->control->features) & 1u << MHV_RING_FEATURES_PENDING_SEND_SIZE))
        return false;
    // store of read_index, then load of pending_send_size: pairs with the barrier in
    // mhv_ring_await_room.
    full_barrier(OUT_BEFORE_PENDING);
    // relaxed, as write_index below: if the sender sleeps, its barrier was before the one above, so
    // both are at least what they were then.
    const uint32_t pending =
        load_relaxed(&ring->control->pending_send_size) & ~(uint32_t)(UNIT - 1);
    if (pending == 0)
        return false;
    const uint32_t in = load_relaxed(&ring->control->write_index);
    const uint32_t now = ring->byte_count - distance(ring, ring->published, in);
    const uint32_t before = now > freed ? now - freed : 0;
    return before <= pending && now > pending;
}

void mhv_ring_mask(struct mhv_ring *ring)
{
    // relaxed: a sender that does not see it yet signals once too often.
    store_relaxed(&ring->control->interrupt_mask, 1);
}

bool mhv_ring_unmask(struct mhv_ring *ring)
{
    store_relaxed(&ring->control->interrupt_mask, 0);
    // stores of interrupt_mask and read_index, then load of write_index: pairs with the barrier in
    // mhv_ring_commit_write.
    full_barrier(UNMASK_BEFORE_IN);
    if (ring->reason != MHV_RING_REASON_NONE || !refresh_in(ring))
        return true;
    return ring->position != ring->peer;
}
