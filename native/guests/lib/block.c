// What every device does, however it moves sectors. The ways are in lib/block_ways.c.

#include "lib/block.h"

bool block_read(const struct block_device *device, uint64_t sector, void *to, uint32_t count)
{
    const struct block_piece piece = {sector, to, count};

    return device->move(device->disk, &piece, 1, false);
}

void block_close(const struct block_device *device)
{
    device->close(device->disk);
}
