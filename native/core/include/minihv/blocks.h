#ifndef MINIHV_BLOCKS_H
#define MINIHV_BLOCKS_H
#include <stdbool.h>
#include <stdint.h>

// A disk whose sectors lie in a file block by block, anywhere. All blocks have the same size.
struct mhv_blocks {
    int32_t descriptor; // of the open file
    uint32_t block_sectors;
    uint64_t sector_count; // of the disk; the last block may go beyond it
    const int64_t *places; // where the first sector of each block lies, in bytes; below 0: nowhere
    const uint8_t *whole;  // of each block: 1 when every sector of it is there
};

// Moves sectors from `sector` on between the file and `bytes`, until `count` are done or one comes
// that is not simply there. Returns how many were moved, or -1 when the file failed: errno says
// how.
int64_t mhv_blocks_read(const struct mhv_blocks *blocks, uint64_t sector, uint8_t *bytes,
                        uint64_t count);
int64_t mhv_blocks_write(const struct mhv_blocks *blocks, uint64_t sector, const uint8_t *bytes,
                         uint64_t count);

// `request_count` requests of `count` sectors each, one after the other, with their buffers beside
// each other in `bytes`. Returns how many requests were done whole, up to the first that was not.
uint64_t mhv_blocks_read_each(const struct mhv_blocks *blocks, const uint64_t *sectors,
                              uint64_t request_count, uint8_t *bytes, uint64_t count);
uint64_t mhv_blocks_write_each(const struct mhv_blocks *blocks, const uint64_t *sectors,
                               uint64_t request_count, const uint8_t *bytes, uint64_t count);

// The same of a file that is the disk itself: what a measurement compares with.
uint64_t mhv_raw_read_each(int32_t descriptor, const uint64_t *sectors, uint64_t request_count,
                           uint8_t *bytes, uint64_t count);
uint64_t mhv_raw_write_each(int32_t descriptor, const uint64_t *sectors, uint64_t request_count,
                            const uint8_t *bytes, uint64_t count);

// So many bytes of a file become a hole, which reads as zeros. False where that cannot be done.
bool mhv_punch_hole(int32_t descriptor, uint64_t at, uint64_t byte_count);

#endif
