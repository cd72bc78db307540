// SHA-256 of a buffer.
#ifndef SHA256_H
#define SHA256_H
#include <stdint.h>

enum { SHA256_BYTES = 32 };

// `byte_count` is a multiple of 64; the padding is a block of its own.
void sha256(const uint8_t *bytes, uint64_t byte_count, uint8_t digest[SHA256_BYTES]);

#endif
