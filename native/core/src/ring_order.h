// How the ring touches what it shares: every access by name, with its memory order.
//
// Spec: C11 (N1570), "Order and consistency".
// Simplified: none known.
//
// An order or a barrier that has a name is needed: tests/ring_explorer.c takes each of them away
// and shows what goes wrong. That is all that the names are for.

#ifndef MINIHV_RING_ORDER_H
#define MINIHV_RING_ORDER_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum ring_order {
    NO_ORDER,

    // The bytes of a packet are there for whoever has seen the index behind it.
    PUBLISH_IN, // release
    TAKE_IN,    // acquire

    // The bytes of a packet have been read when its room is seen to be free.
    PUBLISH_OUT, // release
    TAKE_OUT,    // acquire

    // The sender publishes, then asks whether the receiver sleeps. The receiver says that it will
    // sleep, then asks whether something was published. One of the two sees what the other said.
    IN_BEFORE_MASK, // full barrier
    UNMASK_BEFORE_IN,

    // The sender says that it waits for room, then asks whether there is. The receiver gives room
    // back, then asks whether the sender waits. One of the two sees what the other said.
    PENDING_BEFORE_OUT, // full barrier
    OUT_BEFORE_PENDING,
};

#ifdef RING_EXPLORED
#include "ring_explored.h" // the same functions, over a model of memory
#else

// A freestanding compiler has no string.h.
void *memcpy(void *restrict to, const void *restrict from, size_t byte_count);

static inline uint32_t load_relaxed(const uint32_t *word)
{
    return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_relaxed);
}

static inline uint32_t load_acquire(const uint32_t *word, enum ring_order name)
{
    (void)name;
    return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_acquire);
}

static inline void store_relaxed(uint32_t *word, uint32_t value)
{
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_relaxed);
}

static inline void store_release(uint32_t *word, uint32_t value, enum ring_order name)
{
    (void)name;
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_release);
}

static inline void full_barrier(enum ring_order name)
{
    (void)name;
    atomic_thread_fence(memory_order_seq_cst);
}

// A word of the data that is to be judged: fetched once, whatever the compiler thinks of it.
static inline uint64_t fetch(const uint8_t *place)
{
    return atomic_load_explicit((const _Atomic uint64_t *)(const void *)place,
                                memory_order_relaxed);
}

static inline void copy_from_ring(void *to, const void *from, uint32_t byte_count)
{
    memcpy(to, from, byte_count);
}

static inline void copy_to_ring(void *to, const void *from, uint32_t byte_count)
{
    memcpy(to, from, byte_count);
}

#endif
#endif
