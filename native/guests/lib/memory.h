// The four functions a freestanding compiler may call by itself.
#ifndef GUESTS_MEMORY_H
#define GUESTS_MEMORY_H
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t byte_count);
void *memmove(void *to, const void *from, size_t byte_count);
void *memset(void *to, int byte, size_t byte_count);
int memcmp(const void *left, const void *right, size_t byte_count);

#endif
