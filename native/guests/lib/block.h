// A disk as those see it who only want its sectors, whatever they come along.
#ifndef GUESTS_BLOCK_H
#define GUESTS_BLOCK_H
#include <stdbool.h>
#include <stdint.h>

enum { BLOCK_SECTOR_BYTES = 512 };

struct block_device {
    const char *way; // what sectors come along, for people
    uint64_t sector_count;
    // `count` sectors from `sector` on. False: they cannot be read.
    bool (*read)(void *disk, uint64_t sector, void *to, uint32_t count);
    void *disk; // what `read` wants
};

// Every disk that can be found: those at IDE, by DMA if there is a controller for it, and those of
// the first SCSI controller. How many, `most` at most.
uint32_t block_find(struct block_device *devices, uint32_t most);

#endif
