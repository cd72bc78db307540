// Four bits at a time, by a table of sixteen.

#include "lib/crc32.h"

static const uint32_t of_four_bits[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};

uint32_t crc32(uint32_t before, const void *bytes, uint32_t byte_count)
{
    const uint8_t *next = bytes;
    uint32_t sum = ~before;

    for (uint32_t i = 0; i < byte_count; i++) {
        sum ^= next[i];
        sum = sum >> 4 ^ of_four_bits[sum & 0xF];
        sum = sum >> 4 ^ of_four_bits[sum & 0xF];
    }
    return ~sum;
}
