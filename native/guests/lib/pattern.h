// Words of which each follows from the one before: whoever reads them back knows what they were.
#ifndef GUESTS_PATTERN_H
#define GUESTS_PATTERN_H
#include <stdint.h>

// The words that follow `seed`, which is not among them.
void pattern_fill(uint32_t *words, uint32_t count, uint32_t seed);

// How many words differ.
uint32_t pattern_differences(const uint32_t *left, const uint32_t *right, uint32_t count);

#endif
