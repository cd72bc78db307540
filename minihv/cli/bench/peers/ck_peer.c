// Concurrency Kit's ring of messages by value, one producer and one consumer.

#include "race.h"

#include <ck_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { SLOTS_64 = 4096, SLOTS_256 = 1024 }; // 256 KiB of messages

struct message_64 {
    uint8_t bytes[64];
};
struct message_256 {
    uint8_t bytes[256];
};
CK_RING_PROTOTYPE(small, message_64)
CK_RING_PROTOTYPE(large, message_256)

struct ck_queue {
    _Alignas(64) ck_ring_t ring;
    _Alignas(64) uint8_t slots[(size_t)SLOTS_64 * 64];
};

static void create(void *queue, uint32_t message_bytes)
{
    struct ck_queue *self = queue;

    ck_ring_init(&self->ring, message_bytes == 64 ? SLOTS_64 : SLOTS_256);
}

static uint32_t push_64(void *queue, const void *messages, uint32_t count)
{
    struct ck_queue *self = queue;
    struct message_64 *from = (struct message_64 *)messages;
    uint32_t done = 0;

    while (done < count &&
           CK_RING_ENQUEUE_SPSC(small, &self->ring, (void *)self->slots, &from[done]))
        done++;
    return done;
}

static uint32_t pop_64(void *queue, void *room, uint32_t count, struct race_taken *ret)
{
    struct ck_queue *self = queue;
    struct message_64 *to = room;
    uint32_t done = 0;

    *ret = (struct race_taken){room, 64};
    while (done < count && CK_RING_DEQUEUE_SPSC(small, &self->ring, (void *)self->slots, &to[done]))
        done++;
    return done;
}

static uint32_t push_256(void *queue, const void *messages, uint32_t count)
{
    struct ck_queue *self = queue;
    struct message_256 *from = (struct message_256 *)messages;
    uint32_t done = 0;

    while (done < count &&
           CK_RING_ENQUEUE_SPSC(large, &self->ring, (void *)self->slots, &from[done]))
        done++;
    return done;
}

static uint32_t pop_256(void *queue, void *room, uint32_t count, struct race_taken *ret)
{
    struct ck_queue *self = queue;
    struct message_256 *to = room;
    uint32_t done = 0;

    *ret = (struct race_taken){room, 256};
    while (done < count && CK_RING_DEQUEUE_SPSC(large, &self->ring, (void *)self->slots, &to[done]))
        done++;
    return done;
}

const struct racer *race_peer(uint32_t message_bytes)
{
    static const struct racer small = {sizeof(struct ck_queue), create, push_64, pop_64};
    static const struct racer large = {sizeof(struct ck_queue), create, push_256, pop_256};

    return message_bytes == 64 ? &small : &large;
}
