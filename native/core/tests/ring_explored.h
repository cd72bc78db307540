// The accesses of src/ring_order.h over the model of memory in ring_explorer.c.

#ifndef MINIHV_RING_EXPLORED_H
#define MINIHV_RING_EXPLORED_H
#include <stdbool.h>
#include <string.h>

uint32_t explored_load(const uint32_t *word, bool acquire);
void explored_store(uint32_t *word, uint32_t value, bool release);
void explored_barrier(void);
void explored_read(uint8_t *to, const uint8_t *from, uint32_t byte_count);
void explored_write(uint8_t *to, const uint8_t *from, uint32_t byte_count);

// The order or barrier that is left out in this exploration.
extern enum ring_order explored_without;

static inline uint32_t load_relaxed(const uint32_t *word)
{
    return explored_load(word, false);
}

static inline uint32_t load_acquire(const uint32_t *word, enum ring_order name)
{
    return explored_load(word, name != explored_without);
}

static inline void store_relaxed(uint32_t *word, uint32_t value)
{
    explored_store(word, value, false);
}

static inline void store_release(uint32_t *word, uint32_t value, enum ring_order name)
{
    explored_store(word, value, name != explored_without);
}

static inline void full_barrier(enum ring_order name)
{
    if (name != explored_without)
        explored_barrier();
}

static inline uint64_t fetch(const uint8_t *place)
{
    uint64_t word;

    explored_read((uint8_t *)&word, place, sizeof word);
    return word;
}

static inline void copy_from_ring(void *to, const void *from, uint32_t byte_count)
{
    explored_read(to, from, byte_count);
}

static inline void copy_to_ring(void *to, const void *from, uint32_t byte_count)
{
    explored_write(to, from, byte_count);
}

#endif
