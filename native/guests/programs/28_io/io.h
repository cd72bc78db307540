// The ways to a disk, and what is to be done along each.
#ifndef IO_H
#define IO_H
#include <stdbool.h>
#include <stdint.h>

enum { MOST_REQUEST_BYTES = 1 << 20, MOST_DEPTH = 32 };
enum { WAY_IDE_PIO, WAY_SCSI, WAY_IDE_DMA, WAY_COUNT, ALL_WAYS = (1 << WAY_COUNT) - 1 };

struct io_plan {
    uint32_t ways; // a bit for each way that may be used
    uint32_t request_bytes;
    uint32_t queue_depth; // requests that are on their way at once, where the way has room for them
    uint32_t request_count;
    uint8_t *buffer; // request_bytes * queue_depth; the program's own business
};

struct io_way {
    const char *name;
    // False: there is no disk along this way that is large enough.
    bool (*open)(const struct io_plan *plan);
    // `count` requests from number `first` on, at once. Request n is for the n-th piece of the
    // disk, and uses the buffer's piece n - first.
    bool (*move)(const struct io_plan *plan, uint32_t first, uint32_t count, bool writes);
    void (*close)(void);
};

extern const struct io_way io_ways[WAY_COUNT];

#endif
