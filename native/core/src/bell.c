// Waiting for the other end of a ring: look a while, then sleep until the bell.
//
// Spec: Linux, futex(2). Simplified: elsewhere than on Linux, sleepers wake by themselves, often.
//
// Not for guests, so its name does not begin with ring. The word of a bell is shared by processes
// that trust each other; a bell that is rung for nothing only costs time.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // syscall
#endif

#include "minihv/bell.h"
#include "ring_parts.h"
#include <limits.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { NS_PER_S = 1000000000, NAP_NS = 50000 };

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct timespec duration(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

// Between two looks; tells the processor that nothing is worth guessing.
static void pause_a_moment(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t times_rung(const struct mhv_bell *bell)
{
    // acquire: pairs with the increment in mhv_bell_ring.
    return atomic_load_explicit((const _Atomic uint32_t *)&bell->rung, memory_order_acquire);
}

void mhv_bell_ring(struct mhv_bell *bell)
{
    // seq_cst, both: pairs with doze, where a sleeper is counted before `rung` is looked at.
    atomic_fetch_add((_Atomic uint32_t *)&bell->rung, 1);
    if (atomic_load((_Atomic uint32_t *)&bell->sleepers) == 0)
        return;
#ifdef __linux__
    syscall(SYS_futex, &bell->rung, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
#endif
}

// Sleeps until the bell has been rung another time than `seen`, or for `ns`, or for no reason.
static void doze(struct mhv_bell *bell, uint32_t seen, uint64_t ns)
{
    atomic_fetch_add((_Atomic uint32_t *)&bell->sleepers, 1);
#ifdef __linux__
    const struct timespec limit = duration(ns);
    syscall(SYS_futex, &bell->rung, FUTEX_WAIT, seen, ns != 0 ? &limit : NULL, NULL, 0);
#else
    const struct timespec nap = duration(ns != 0 && ns < NAP_NS ? ns : NAP_NS);
    if (times_rung(bell) == seen)
        nanosleep(&nap, NULL);
#endif
    atomic_fetch_sub((_Atomic uint32_t *)&bell->sleepers, 1);
}

// What is left until `end`, at most; 0 of an end that never comes. False: nothing.
static bool time_left(uint64_t end, uint64_t *ns)
{
    const uint64_t now = end != 0 ? now_ns() : 0;

    *ns = end != 0 && end > now ? end - now : 0;
    return end == 0 || end > now;
}

// Looks at a word of the peer `spins` times, until it is another than `seen`.
static bool look(const uint32_t *word, uint32_t seen, uint32_t spins)
{
    for (uint32_t i = 0; i < spins; i++) {
        // relaxed: whatever it is, it is loaded again by whoever acts on it.
        if (load_relaxed(word) != seen)
            return true;
        pause_a_moment();
    }
    return false;
}

struct mhv_ring_result mhv_ring_wait_packet(struct mhv_ring *ring, struct mhv_bell *bell,
                                            struct mhv_patience patience)
{
    const uint64_t end = patience.timeout_ns != 0 ? now_ns() + patience.timeout_ns : 0;
    bool more = ring->position != ring->peer;
    uint64_t ns = 0;

    mhv_ring_mask(ring);
    while (!more && !look(&ring->control->write_index, ring->peer, patience.spins)) {
        const uint32_t seen = times_rung(bell);

        more = mhv_ring_unmask(ring);
        if (!more && !time_left(end, &ns))
            return ended(MHV_RING_EMPTY, 0);
        if (!more)
            doze(bell, seen, ns);
        mhv_ring_mask(ring);
    }
    if (ring->reason != MHV_RING_REASON_NONE)
        return ended(MHV_RING_CORRUPT, ring->reason);
    return ended(MHV_RING_OK, 0);
}

struct mhv_ring_result mhv_ring_wait_room(struct mhv_ring *ring, struct mhv_bell *bell,
                                          uint32_t needed, struct mhv_patience patience)
{
    const uint64_t end = patience.timeout_ns != 0 ? now_ns() + patience.timeout_ns : 0;
    uint64_t ns = 0;

    for (;;) {
        const uint32_t seen = times_rung(bell);
        struct mhv_ring_result result;

        look(&ring->control->read_index, ring->peer, patience.spins);
        result = mhv_ring_await_room(ring, needed);
        if (result.outcome != MHV_RING_FULL || !time_left(end, &ns))
            return result;
        doze(bell, seen, ns);
    }
}
