// Sectors of a disk that is kept in blocks. Twin of minihv/storage/block_map.py; read that first.
//
// Stands for: nothing in the hardware; the way from a sector to its place in an image.
// Spec: POSIX, "pread", "pwrite". Simplified: as the Python twin; on a system without pread nothing
// is ever simply there, and Python does everything.

#define _GNU_SOURCE // fallocate

#include "minihv/blocks.h"

#include <errno.h>
#include <stddef.h>

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

enum { SECTOR_BYTES = 512 };

// Whole, or -1. A file that ends before is damaged.
static int64_t move(int descriptor, uint8_t *into, const uint8_t *from, uint64_t byte_count,
                    int64_t place)
{
#ifdef _WIN32
    (void)descriptor, (void)into, (void)from, (void)byte_count, (void)place;
    errno = ENOSYS;
    return -1;
#else
    for (uint64_t done = 0; done < byte_count;) {
        const int64_t at = place + (int64_t)done;
        const ssize_t moved = into ? pread(descriptor, into + done, byte_count - done, at)
                                   : pwrite(descriptor, from + done, byte_count - done, at);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved == 0)
            errno = EIO;
        if (moved <= 0)
            return -1;
        done += (uint64_t)moved;
    }
    return 0;
#endif
}

// One of `into` and `from` is NULL.
static int64_t move_sectors(const struct mhv_blocks *blocks, uint64_t sector, uint8_t *into,
                            const uint8_t *from, uint64_t count)
{
    uint64_t done = 0;

    if (count > blocks->sector_count || sector > blocks->sector_count - count)
        return 0;
    while (done < count) {
        const uint64_t block = (sector + done) / blocks->block_sectors;
        const uint64_t within = (sector + done) % blocks->block_sectors;
        const uint64_t rest = blocks->block_sectors - within;
        const uint64_t part = count - done < rest ? count - done : rest;
        const uint64_t offset = done * SECTOR_BYTES;
        if (blocks->places[block] < 0 || blocks->whole[block] != 1)
            break;
        if (move(blocks->descriptor, into ? into + offset : NULL, from ? from + offset : NULL,
                 part * SECTOR_BYTES, blocks->places[block] + (int64_t)(within * SECTOR_BYTES)))
            return -1;
        done += part;
    }
    return (int64_t)done;
}

int64_t mhv_blocks_read(const struct mhv_blocks *blocks, uint64_t sector, uint8_t *bytes,
                        uint64_t count)
{
    return move_sectors(blocks, sector, bytes, NULL, count);
}

int64_t mhv_blocks_write(const struct mhv_blocks *blocks, uint64_t sector, const uint8_t *bytes,
                         uint64_t count)
{
    return move_sectors(blocks, sector, NULL, bytes, count);
}

// One of `into` and `from` is NULL here too.
static uint64_t move_each(const struct mhv_blocks *blocks, const uint64_t *sectors,
                          uint64_t request_count, uint8_t *into, const uint8_t *from,
                          uint64_t count)
{
    const uint64_t step = count * SECTOR_BYTES;
    uint64_t done = 0;

    while (done < request_count &&
           move_sectors(blocks, sectors[done], into ? into + done * step : NULL,
                        into ? NULL : from + done * step, count) == (int64_t)count)
        done++;
    return done;
}

uint64_t mhv_blocks_read_each(const struct mhv_blocks *blocks, const uint64_t *sectors,
                              uint64_t request_count, uint8_t *bytes, uint64_t count)
{
    return move_each(blocks, sectors, request_count, bytes, NULL, count);
}

uint64_t mhv_blocks_write_each(const struct mhv_blocks *blocks, const uint64_t *sectors,
                               uint64_t request_count, const uint8_t *bytes, uint64_t count)
{
    return move_each(blocks, sectors, request_count, NULL, bytes, count);
}

static uint64_t move_each_raw(int descriptor, const uint64_t *sectors, uint64_t request_count,
                              uint8_t *into, const uint8_t *from, uint64_t count)
{
    const uint64_t step = count * SECTOR_BYTES;
    uint64_t done = 0;

    while (done < request_count &&
           move(descriptor, into ? into + done * step : NULL, into ? NULL : from + done * step,
                step, (int64_t)(sectors[done] * SECTOR_BYTES)) == 0)
        done++;
    return done;
}

uint64_t mhv_raw_read_each(int32_t descriptor, const uint64_t *sectors, uint64_t request_count,
                           uint8_t *bytes, uint64_t count)
{
    return move_each_raw(descriptor, sectors, request_count, bytes, NULL, count);
}

uint64_t mhv_raw_write_each(int32_t descriptor, const uint64_t *sectors, uint64_t request_count,
                            const uint8_t *bytes, uint64_t count)
{
    return move_each_raw(descriptor, sectors, request_count, NULL, bytes, count);
}

bool mhv_punch_hole(int32_t descriptor, uint64_t at, uint64_t byte_count)
{
#if defined(__linux__)
    return byte_count == 0 || fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                        (off_t)at, (off_t)byte_count) == 0;
#else
    (void)descriptor, (void)at;
    return byte_count == 0;
#endif
}
