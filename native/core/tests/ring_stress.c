// Two threads, one ring, as fast as they can; for ThreadSanitizer, and for whoever doubts.
//
//   ring_stress PACKETS SEED
//
// Sizes, batches and the ways to read and to wait follow from the seed. The receiver knows which
// packets come, and in which order.

#include "minihv/bell.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, MOST_PAGES = 16, LONGEST = 3000, BUFFER = 1 << 16, PACKETS_AT_ONCE = 512 };

static struct mhv_ring_control control;
static _Alignas(PAGE) uint8_t memory[MOST_PAGES][PAGE];
static uint8_t *pages[MOST_PAGES];
static uint32_t page_count;
static bool scattered;
static struct mhv_bell packet_bell, room_bell;
static uint64_t packet_count, seed;
static const struct mhv_patience PATIENCE = {.spins = 200, .timeout_ns = 0};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

// The payload of packet `n`: its length in bytes, a multiple of 8.
static uint32_t payload_of(uint64_t n, uint64_t *words)
{
    const uint64_t random = mix(seed + n);
    const uint32_t longest = random % 16 == 0 ? LONGEST : 128;
    const uint32_t count = (uint32_t)(random >> 32) % (longest / 8 + 1);

    for (uint32_t i = 0; i < count; i++)
        words[i] = mix(random + i);
    return count * 8;
}

static struct mhv_ring attach(void)
{
    struct mhv_ring ring;

    if (mhv_ring_attach(&ring, &control, scattered ? NULL : memory[0], scattered ? pages : NULL,
                        page_count * PAGE) != MHV_OK)
        abort();
    return ring;
}

static void *send(void *ignored)
{
    struct mhv_ring ring = attach();
    uint64_t words[LONGEST / 8];

    for (uint64_t n = 0; n < packet_count; n++) {
        const uint32_t half = payload_of(n, words) / 16 * 8;
        const struct mhv_ring_part parts[] = {
            {words, half}, {(uint8_t *)words + half, payload_of(n, words) - half}};
        const struct mhv_ring_head head = {.transaction_id = n, .kind = MHV_PACKET_KIND_IN_BAND};
        struct mhv_ring_result result;

        while ((result = mhv_ring_write(&ring, &head, parts, 2)).outcome == MHV_RING_FULL) {
            if (mhv_ring_commit_write(&ring))
                mhv_bell_ring(&packet_bell);
            mhv_ring_wait_room(&ring, &room_bell, result.detail, PATIENCE);
        }
        if (result.outcome != MHV_RING_OK)
            abort();
        if (mix(seed ^ n) % 4 == 0)
            mhv_ring_publish_write(&ring);
        if (mix(seed ^ n) % 3 == 0 && mhv_ring_commit_write(&ring))
            mhv_bell_ring(&packet_bell);
    }
    if (mhv_ring_commit_write(&ring))
        mhv_bell_ring(&packet_bell);
    return ignored;
}

static void check(const struct mhv_ring_packet *packet, const uint8_t *payload, uint64_t n)
{
    uint64_t words[LONGEST / 8];
    const uint32_t byte_count = payload_of(n, words);

    if (packet->transaction_id == n && packet->payload_bytes == byte_count &&
        memcmp(payload, words, byte_count) == 0)
        return;
    printf("packet %llu is wrong\n", (unsigned long long)n);
    exit(1);
}

// Reads in one of three ways what is there: how many packets, 0 when there is none.
static uint32_t read_some(struct mhv_ring *ring, uint64_t next)
{
    static uint8_t bytes[BUFFER];
    static struct mhv_ring_packet packets[PACKETS_AT_ONCE];
    struct mhv_ring_snapshot snapshot = {bytes, packets, 1 << 13, PACKETS_AT_ONCE, 0};
    const uint8_t *place = bytes;
    struct mhv_ring_result result;

    switch (mix(seed + 1 + next) % 3) {
    case 0:
        result = mhv_ring_read_batch(ring, &snapshot);
        for (uint32_t i = 0; i < snapshot.count; i++)
            check(&packets[i], bytes + packets[i].payload_offset, next + i);
        return snapshot.count;
    case 1:
        result = mhv_ring_read(ring, bytes, sizeof bytes, packets);
        break;
    default:
        result = mhv_ring_read_in_place(ring, bytes, sizeof bytes, packets, &place);
    }
    if (result.outcome != MHV_RING_OK)
        return 0;
    check(packets, place + packets[0].payload_offset, next);
    return 1;
}

static void receive(void)
{
    struct mhv_ring ring = attach();

    for (uint64_t next = 0; next < packet_count;) {
        const uint32_t count = read_some(&ring, next);

        next += count;
        if (count != 0 && mix(seed ^ next) % 4 != 0)
            continue;
        if (mhv_ring_commit_read(&ring))
            mhv_bell_ring(&room_bell);
        if (count == 0 &&
            mhv_ring_wait_packet(&ring, &packet_bell, PATIENCE).outcome != MHV_RING_OK)
            abort();
    }
    if (mhv_ring_commit_read(&ring))
        mhv_bell_ring(&room_bell);
}

int main(int argc, char **argv)
{
    pthread_t sender;

    packet_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    seed = mix(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    page_count = 1 + (uint32_t)(seed % MOST_PAGES);
    scattered = seed >> 32 & 1;
    for (uint32_t i = 0; i < page_count; i++)
        pages[i] = memory[page_count - 1 - i];
    mhv_ring_clear(&control);
    if (pthread_create(&sender, NULL, send, NULL) != 0)
        return 2;
    receive();
    pthread_join(sender, NULL);
    printf("%llu packets through %u pages%s\n", (unsigned long long)packet_count, page_count,
           scattered ? ", scattered" : "");
    return 0;
}
