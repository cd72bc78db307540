// Fills memory by a linear congruential generator, and compares it word by word.

#include "lib/pattern.h"

void pattern_fill(uint32_t *words, uint32_t count, uint32_t seed)
{
    for (uint32_t i = 0; i < count; i++)
        words[i] = seed = seed * 1664525 + 1013904223;
}

uint32_t pattern_differences(const uint32_t *left, const uint32_t *right, uint32_t count)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++)
        found += left[i] != right[i];
    return found;
}
