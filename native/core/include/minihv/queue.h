#ifndef MINIHV_QUEUE_H
#define MINIHV_QUEUE_H
#include <stddef.h>
#include <stdint.h>

// A ring with both of its ends, used as a queue of messages of one size: what the benchmark races.
// It holds 256 KiB of data. Sender and receiver may be two threads, or two processes that have the
// memory at the same address.
struct mhv_queue;

// Messages that lie `stride` bytes from each other, in memory of the receiver's.
struct mhv_queue_taken {
    const uint8_t *first;
    uint64_t stride;
};

enum mhv_queue_size {
    MHV_QUEUE_BATCH = 32,         // messages in one call at most
    MHV_QUEUE_MOST_BYTES = 256,   // of a message, a multiple of 8
    MHV_QUEUE_PACKET_BYTES = 24,  // that the ring adds to each
    MHV_QUEUE_ROOM_BYTES = 16384, // that the receiver needs for a batch
    MHV_QUEUE_CORRUPT = -1,       // as a count: the ring is
};

size_t mhv_queue_bytes(void);

// A queue in `memory`, which is aligned to a page.
void mhv_queue_create(void *memory, uint32_t message_bytes);

// Puts up to `count` messages into the ring and publishes them together; how many there was room
// for.
uint32_t mhv_queue_push(void *memory, const void *messages, uint32_t count);

// Takes up to `count` messages, copied once to `room`; how many there were.
uint32_t mhv_queue_pop(void *memory, void *room, uint32_t count, struct mhv_queue_taken *ret);

// Pushes `count` messages and pops each again, by so many at a time. How many came back.
uint64_t mhv_queue_turn(void *memory, uint64_t count, uint32_t batch);

#endif
