// A ring as a queue of messages of one size. Only the benchmark uses it.
//
// Stands for: nothing; it is the ring of VMBus in the shape of the queues it is measured beside.
// Simplified: both ends poll, so nobody decides whether to signal.

#include "minihv/queue.h"
#include "minihv/ring.h"

#include <stdbool.h>
#include <string.h>

enum { DATA_BYTES = 256 * 1024, LUMPS = 8, CACHE_LINE = 64 };

struct mhv_queue {
    struct mhv_ring_control control;
    uint8_t data[DATA_BYTES];
    _Alignas(CACHE_LINE) struct mhv_ring sender;
    uint32_t offsets[MHV_QUEUE_BATCH + 1]; // of the messages of a batch
    uint32_t message_bytes;
    _Alignas(CACHE_LINE) struct mhv_ring receiver;
    struct mhv_ring_packet packets[MHV_QUEUE_BATCH];
};

size_t mhv_queue_bytes(void)
{
    return sizeof(struct mhv_queue);
}

void mhv_queue_create(void *memory, uint32_t message_bytes)
{
    struct mhv_queue *queue = memory;

    mhv_ring_clear(&queue->control);
    mhv_ring_attach(&queue->sender, &queue->control, queue->data, NULL, DATA_BYTES);
    mhv_ring_attach(&queue->receiver, &queue->control, queue->data, NULL, DATA_BYTES);
    queue->message_bytes = message_bytes;
    for (uint32_t i = 0; i <= MHV_QUEUE_BATCH; i++)
        queue->offsets[i] = i * message_bytes;
}

static uint32_t push_one(struct mhv_queue *queue, const void *message)
{
    static const struct mhv_ring_head head = {.kind = MHV_PACKET_KIND_IN_BAND};
    const struct mhv_ring_part part = {message, queue->message_bytes};

    return mhv_ring_write(&queue->sender, &head, &part, 1).outcome == MHV_RING_OK;
}

static uint32_t push_many(struct mhv_queue *queue, const void *messages, uint32_t count)
{
    static const struct mhv_ring_head head = {.kind = MHV_PACKET_KIND_IN_BAND};
    const struct mhv_ring_batch batch = {messages, queue->offsets, NULL, count};
    uint32_t pushed = 0;

    mhv_ring_write_batch(&queue->sender, &head, &batch, &pushed);
    return pushed;
}

uint32_t mhv_queue_push(void *memory, const void *messages, uint32_t count)
{
    struct mhv_queue *queue = memory;
    const uint32_t pushed =
        count == 1 ? push_one(queue, messages) : push_many(queue, messages, count);

    if (pushed)
        mhv_ring_publish_write(&queue->sender);
    return pushed;
}

// Gives room back in lumps, as a driver does that reads all there is: the index of the receiver
// lies in the cache line where it looks for the sender's.
static void give_back(struct mhv_queue *queue, bool all)
{
    const struct mhv_ring *receiver = &queue->receiver;
    const uint32_t read =
        (receiver->position + DATA_BYTES - receiver->published) & (DATA_BYTES - 1);

    if (read > 0 && (all || read >= DATA_BYTES / LUMPS))
        mhv_ring_publish_read(&queue->receiver);
}

// Into `room` and `packets`; how many there were.
static uint32_t take(struct mhv_queue *queue, void *room, uint32_t count)
{
    struct mhv_ring_snapshot snapshot = {.bytes = room,
                                         .packets = queue->packets,
                                         .capacity = MHV_QUEUE_ROOM_BYTES,
                                         .packet_capacity = count,
                                         .count = 1};
    const struct mhv_ring_result result =
        count == 1 ? mhv_ring_read(&queue->receiver, room, MHV_QUEUE_ROOM_BYTES, &queue->packets[0])
                   : mhv_ring_read_batch(&queue->receiver, &snapshot);

    give_back(queue, result.outcome == MHV_RING_EMPTY);
    return result.outcome == MHV_RING_OK      ? snapshot.count
           : result.outcome == MHV_RING_EMPTY ? 0
                                              : (uint32_t)MHV_QUEUE_CORRUPT;
}

uint32_t mhv_queue_pop(void *memory, void *room, uint32_t count, struct mhv_queue_taken *ret)
{
    struct mhv_queue *queue = memory;
    const uint32_t found = take(queue, room, count);

    ret->first = (const uint8_t *)room + queue->packets[0].payload_offset;
    ret->stride = queue->message_bytes + MHV_QUEUE_PACKET_BYTES;
    return found;
}

uint64_t mhv_queue_turn(void *memory, uint64_t count, uint32_t batch)
{
    static const uint8_t messages[MHV_QUEUE_BATCH * MHV_QUEUE_MOST_BYTES];
    uint8_t room[MHV_QUEUE_ROOM_BYTES];
    struct mhv_queue_taken found;
    uint64_t done = 0;

    while (done < count) {
        mhv_queue_push(memory, messages, batch);
        const uint32_t popped = mhv_queue_pop(memory, room, batch, &found);
        if (popped == 0 || popped == (uint32_t)MHV_QUEUE_CORRUPT)
            break;
        done += popped;
    }
    return done;
}
