// One race of a single-producer single-consumer queue: who counts, who waits, and what a message
// is.
#ifndef MINIHV_RACE_H
#define MINIHV_RACE_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RACE_MOST_BYTES = 256, RACE_BATCH = 32, RACE_ROOM_BYTES = 16384 };

// How one race is run. `cpus`: where the producer and the consumer are pinned; negative: nowhere.
struct race {
    uint64_t message_count;
    uint32_t message_bytes; // 64 or 256; the first 8 are the message's number
    uint32_t batch;         // 1, or RACE_BATCH
    uint32_t processes;     // 0: two threads; 1: two processes over shared memory
    int32_t cpus[2];
};

// Offers up to `count` messages; says how many were taken.
typedef uint32_t race_push(void *queue, const void *messages, uint32_t count);

// Messages that lie `stride` bytes from each other.
struct race_taken {
    const uint8_t *first;
    uint64_t stride;
};

// Takes up to `count` messages, copied to `room` of the consumer's; says how many there were.
// UINT32_MAX: the queue is corrupt.
typedef uint32_t race_pop(void *queue, void *room, uint32_t count, struct race_taken *ret);

struct racer {
    uint64_t queue_bytes;
    void (*create)(void *queue, uint32_t message_bytes);
    race_push *push;
    race_pop *pop;
};

// Seconds from the first message to the last, or a negative number when a message was lost.
double race_run(const struct racer *racer, const struct race *race);

// The peer that this library was built with.
const struct racer *race_peer(uint32_t message_bytes);

#ifdef __cplusplus
}
#endif
#endif
