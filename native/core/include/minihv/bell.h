#ifndef MINIHV_BELL_H
#define MINIHV_BELL_H
#include "minihv/ring.h"
#include <stdint.h>

// What a signal is between threads, or processes that share memory: a bell, one for each direction.
// Zero is a new bell. Guests have event flags instead.
struct mhv_bell {
    uint32_t rung;     // how often
    uint32_t sleepers; // who listens for it
};

// How long to wait: so many looks at the ring first, then asleep. 0 ns: forever.
struct mhv_patience {
    uint32_t spins;
    uint64_t timeout_ns;
};

// After a commit that says that the peer must be signalled.
void mhv_bell_ring(struct mhv_bell *bell);

// Receiver. OK when a read will find something, be it that the ring is corrupt; EMPTY when the time
// is over. Signals are masked while it looks, and not while it sleeps; afterwards they are masked.
// Call mhv_ring_commit_read before.
struct mhv_ring_result mhv_ring_wait_packet(struct mhv_ring *ring, struct mhv_bell *bell,
                                            struct mhv_patience patience);

// Sender. OK when there is room for `needed` bytes, FULL when the time is over, CORRUPT. Call
// mhv_ring_commit_write before.
struct mhv_ring_result mhv_ring_wait_room(struct mhv_ring *ring, struct mhv_bell *bell,
                                          uint32_t needed, struct mhv_patience patience);

#endif
