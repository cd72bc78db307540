// One end of a ring whose peer lies while it is believed: a thread rewrites indices and packets all
// the time.
//
//   ring_attack ROUNDS SEED
//
// What the end says of a packet must be what its private copy says. An end that fetched a word of
// the data twice would say one thing and have the other. Sanitizers see the rest.

#include "ring_checks.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, PAGES = 4, DATA = PAGES * PAGE, STRIDE = 32, CAPACITY = 4096, PACKETS = 64 };
enum { OUTCOMES = 6, TURN = 512 };

static struct mhv_ring_control control;
static uint8_t *data; // from malloc, so that a byte too many is seen
static uint8_t *pages[PAGES];
static _Atomic bool is_over;
static uint64_t outcomes[OUTCOMES];

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

// A packet of 32 bytes with its trailer, as an honest peer writes it.
static uint64_t honest(void)
{
    const struct {
        uint64_t kind, offset8, length8;
    } packet = {MHV_PACKET_KIND_IN_BAND, 2, 3};

    return packet.kind | packet.offset8 << 16 | packet.length8 << 32;
}

// Half the time what an honest peer would have there, else something near it, else anything.
static uint64_t lie(uint64_t *state)
{
    const uint64_t random = next_random(state);

    switch (random % 8) {
    case 0:
        return next_random(state) << 16 ^ next_random(state);
    case 1:
        return honest() ^ UINT64_C(1) << random / 8 % 64;
    case 2: // ranges, more or fewer
        return MHV_PACKET_KIND_GPA_DIRECT | UINT64_C(6) << 16 | (random / 8 % 64) << 32;
    case 3: // longer than it was
        return honest() + ((random / 8 % 200) << 32);
    default:
        return honest();
    }
}

static void store_32(uint32_t *word, uint64_t value)
{
    atomic_store_explicit((_Atomic uint32_t *)word, (uint32_t)value, memory_order_relaxed);
}

static void *attack(void *seed)
{
    uint32_t *const words[] = {&control.write_index, &control.read_index, &control.interrupt_mask,
                               &control.pending_send_size, &control.features};
    uint64_t state = *(uint64_t *)seed;

    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        const uint64_t random = next_random(&state);
        const uint64_t index = random / 16 % (DATA / STRIDE) * STRIDE;
        _Atomic uint64_t *place = (_Atomic uint64_t *)(void *)(data + index);

        if (random % 16 == 0)
            store_32(words[random / 16 % 5], next_random(&state));
        else if (random % 16 < 6)
            store_32(words[random % 2], index);
        else
            atomic_store_explicit(place, lie(&state), memory_order_relaxed);
    }
    return NULL;
}

static void fail(const char *what)
{
    printf("%s\n", what);
    exit(1);
}

static void check(const uint8_t *bytes, const struct mhv_ring_packet *packet)
{
    const char *problem = packet_problem(bytes, packet, CAPACITY);

    if (problem != NULL)
        fail(problem);
}

static struct mhv_ring_result read_one(struct mhv_ring *ring, uint8_t *buffer)
{
    struct mhv_ring_packet packet;
    const struct mhv_ring_result result = mhv_ring_read(ring, buffer, CAPACITY, &packet);

    if (result.outcome == MHV_RING_OK)
        check(buffer, &packet);
    return result;
}

static struct mhv_ring_result read_many(struct mhv_ring *ring, uint8_t *buffer)
{
    static struct mhv_ring_packet packets[PACKETS];
    struct mhv_ring_snapshot snapshot = {buffer, packets, CAPACITY, PACKETS, 0};
    const struct mhv_ring_result result = mhv_ring_read_batch(ring, &snapshot);

    for (uint32_t i = 0; i < snapshot.count; i++)
        check(buffer, &packets[i]);
    return result;
}

static struct mhv_ring_result write_one(struct mhv_ring *ring, uint8_t *buffer, uint64_t random)
{
    const struct mhv_ring_head head = {.kind = MHV_PACKET_KIND_IN_BAND, .transaction_id = random};
    const struct mhv_ring_part part = {buffer, (uint32_t)(random % 512)};

    return mhv_ring_write(ring, &head, &part, 1);
}

static struct mhv_ring_result act(struct mhv_ring *ring, uint8_t *buffer, uint64_t random)
{
    switch (random % 4) {
    case 0:
        return read_one(ring, buffer);
    case 1:
        return read_many(ring, buffer);
    case 2:
        mhv_ring_commit_read(ring);
        mhv_ring_unmask(ring);
        return (struct mhv_ring_result){ring->reason != 0 ? MHV_RING_CORRUPT : MHV_RING_OK, 0};
    default:
        return (struct mhv_ring_result){MHV_RING_OK, 0};
    }
}

static struct mhv_ring_result act_as_sender(struct mhv_ring *ring, uint8_t *buffer, uint64_t random)
{
    const struct mhv_ring_result result = write_one(ring, buffer, random >> 8);

    if (result.outcome == MHV_RING_FULL && random % 2 == 0)
        return mhv_ring_await_room(ring, result.detail);
    mhv_ring_commit_write(ring);
    return result;
}

static void begin(struct mhv_ring *ring, bool scattered, uint64_t random)
{
    const uint32_t position = (uint32_t)(random % (DATA / STRIDE)) * STRIDE;

    if (mhv_ring_attach(ring, &control, scattered ? NULL : data, scattered ? pages : NULL, DATA) !=
        MHV_OK)
        abort();
    mhv_ring_resume(ring, position, position);
}

// At least `rounds` operations of one end, and more until it was attacked; a corrupt one begins
// anew.
static void stand(uint64_t rounds, uint64_t state)
{
    uint8_t *buffer = calloc(1, CAPACITY);
    const bool sends = state & 1, scattered = state & 2;
    struct mhv_ring ring;

    begin(&ring, scattered, 0);
    for (uint64_t i = 0; i < rounds || (outcomes[MHV_RING_CORRUPT] == 0 && i / 100 < rounds); i++) {
        if (i % TURN == 0)
            sched_yield(); // where processors are few, the attacker has to get one
        const uint64_t random = next_random(&state);
        const struct mhv_ring_result result =
            sends ? act_as_sender(&ring, buffer, random) : act(&ring, buffer, random);

        if (result.outcome >= OUTCOMES || ring.position % 8 != 0 || ring.position >= DATA)
            fail("an end has lost its way");
        outcomes[result.outcome]++;
        if (ring.reason != 0)
            begin(&ring, scattered, random);
    }
    free(buffer);
}

int main(int argc, char **argv)
{
    const uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    pthread_t attacker;

    data = aligned_alloc(PAGE, DATA);
    if (data == NULL)
        return 2;
    for (uint32_t at = 0; at < DATA; at += STRIDE)
        memcpy(data + at, &(uint64_t[4]){honest()}, STRIDE);
    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = data + (PAGES - 1 - i) * PAGE;
    mhv_ring_clear(&control);
    if (pthread_create(&attacker, NULL, attack, &seed) != 0)
        return 2;
    stand(rounds, seed);
    atomic_store(&is_over, true);
    pthread_join(attacker, NULL);
    printf("ok %llu, empty %llu, full %llu, corrupt %llu, small %llu\n",
           (unsigned long long)outcomes[MHV_RING_OK], (unsigned long long)outcomes[MHV_RING_EMPTY],
           (unsigned long long)outcomes[MHV_RING_FULL],
           (unsigned long long)outcomes[MHV_RING_CORRUPT],
           (unsigned long long)outcomes[MHV_RING_SMALL]);
    free(data);
    return 0;
}
