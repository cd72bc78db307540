// Sectors of a disk, whichever way they take: IDE word by word, IDE by DMA, or SCSI over VMBus.
//
// Whoever wants sectors has a device and asks it; what is behind is a row of block_ways. What a way
// needs (registers, rings) is there once, so one device is open at a time.
#ifndef GUESTS_BLOCK_H
#define GUESTS_BLOCK_H
#include <stdbool.h>
#include <stdint.h>

enum { BLOCK_MOST_PIECES = 32, BLOCK_MOST_BYTES = 1 << 20, BLOCK_DISKS = 4 };

// Sectors that follow each other, and memory for them: whole sectors, BLOCK_MOST_BYTES at most,
// from an even address on.
struct block_piece {
    uint64_t sector;
    void *memory;
    uint32_t count;
};

struct block_device {
    uint64_t sector_count;
    uint32_t sector_bytes;
    // All pieces are moved, BLOCK_MOST_PIECES at most, and at once where the way has room for that.
    // False: one of them is not.
    bool (*move)(void *disk, const struct block_piece *pieces, uint32_t count, bool writes);
    void (*close)(void *disk);
    void *disk; // what both want
};

struct block_way {
    const char *word; // by which a command line names it
    const char *name; // for people
    bool has_gaps;    // where a disk is missing, another may have a higher number
    // Disk `number`, 0 to BLOCK_DISKS - 1. False: there is none along this way.
    bool (*open)(struct block_device *device, uint32_t number);
};

enum { BLOCK_IDE_PIO, BLOCK_SCSI, BLOCK_IDE_DMA, BLOCK_WAYS };
extern const struct block_way block_ways[BLOCK_WAYS];

// `count` sectors from `sector` on. False: they cannot be read.
bool block_read(const struct block_device *device, uint64_t sector, void *to, uint32_t count);

void block_close(const struct block_device *device);

#endif
