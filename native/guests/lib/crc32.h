// The CRC-32 of IEEE 802.3, as zlib has it.
#ifndef GUESTS_CRC32_H
#define GUESTS_CRC32_H
#include <stdint.h>

// The checksum of what was before, and of these bytes behind it; before everything it is 0.
uint32_t crc32(uint32_t before, const void *bytes, uint32_t byte_count);

#endif
