// Copies and fills by the string instructions, so that no compiler turns a loop into a call of
// itself.

#include "lib/memory.h"
#include <stdint.h>

// Eight bytes anywhere, whatever they are.
typedef uint64_t word __attribute__((may_alias, aligned(1)));

void *memcpy(void *restrict to, const void *restrict from, size_t byte_count)
{
    void *place = to;
    __asm__ volatile("rep movsb" : "+D"(place), "+S"(from), "+c"(byte_count) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t byte_count)
{
    const uintptr_t distance = (uintptr_t)to - (uintptr_t)from;

    if (distance >= byte_count)
        return memcpy(to, from, byte_count);
    uint8_t *last_to = (uint8_t *)to + byte_count - 1;
    const uint8_t *last_from = (const uint8_t *)from + byte_count - 1;
    __asm__ volatile("std; rep movsb; cld"
                     : "+D"(last_to), "+S"(last_from), "+c"(byte_count)
                     :
                     : "memory");
    return to;
}

void *memset(void *to, int byte, size_t byte_count)
{
    void *place = to;
    __asm__ volatile("rep stosb" : "+D"(place), "+c"(byte_count) : "a"(byte) : "memory");
    return to;
}

static int compare_bytes(const uint8_t *a, const uint8_t *b, size_t byte_count)
{
    for (; byte_count != 0; byte_count--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

int memcmp(const void *left, const void *right, size_t byte_count)
{
    const uint8_t *a = left;
    const uint8_t *b = right;

    for (; byte_count >= sizeof(uint64_t); byte_count -= sizeof(uint64_t)) {
        if (*(const word *)a != *(const word *)b)
            return compare_bytes(a, b, sizeof(uint64_t));
        a += sizeof(uint64_t);
        b += sizeof(uint64_t);
    }
    return compare_bytes(a, b, byte_count);
}
