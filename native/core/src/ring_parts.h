// What the two sides of the ring have in common: distances around it, and where its bytes are.

#ifndef MINIHV_RING_PARTS_H
#define MINIHV_RING_PARTS_H
#include "minihv/ring.h"
#include "ring_order.h"

enum { UNIT = 8, TRAILER_BYTES = 8, RING_PAGE_BYTES = 4096 };
enum { DESCRIPTOR_BYTES = sizeof(struct mhv_packet_descriptor) };

static inline struct mhv_ring_result ended(enum mhv_ring_outcome outcome, uint32_t detail)
{
    return (struct mhv_ring_result){.outcome = (uint32_t)outcome, .detail = detail};
}

// This end has nothing more to do with its peer.
static inline struct mhv_ring_result corrupt(struct mhv_ring *ring, enum mhv_ring_reason reason)
{
    ring->reason = (uint32_t)reason;
    return ended(MHV_RING_CORRUPT, ring->reason);
}

// How far it is from `from` on to `to`.
static inline uint32_t distance(const struct mhv_ring *ring, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + ring->byte_count - from;
}

// The index `step` bytes behind `index`; at most once around.
static inline uint32_t ahead(const struct mhv_ring *ring, uint32_t index, uint32_t step)
{
    const uint32_t to = index + step;

    return to >= ring->byte_count ? to - ring->byte_count : to;
}

// What is about to be published counts as undecided on; once around is all that there is to know.
static inline void note_published(struct mhv_ring *ring)
{
    const uint32_t total = ring->undecided + distance(ring, ring->published, ring->position);

    ring->undecided = total < ring->byte_count ? total : ring->byte_count;
    ring->published = ring->position;
}

// Where the byte at `index` is, and in `room` how many are in one piece from there on.
static inline uint8_t *at(const struct mhv_ring *ring, uint32_t index, uint32_t *room)
{
    if (ring->data != NULL) {
        *room = ring->byte_count - index;
        return ring->data + index;
    }
    *room = RING_PAGE_BYTES - index % RING_PAGE_BYTES;
    return ring->pages[index / RING_PAGE_BYTES] + index % RING_PAGE_BYTES;
}

// What is wrong with an index of the peer by itself.
static inline enum mhv_ring_reason index_fault(const struct mhv_ring *ring, uint32_t index)
{
    if (index % UNIT != 0)
        return MHV_RING_REASON_INDEX_MISALIGNED;
    if (index >= ring->byte_count)
        return MHV_RING_REASON_INDEX_OUTSIDE;
    return MHV_RING_REASON_NONE;
}

#endif
