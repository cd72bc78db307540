// Finds disks, and puts each behind the same function.

#include "lib/block.h"
#include "lib/ide.h"
#include "lib/ide_dma.h"
#include "lib/storage.h"
#include <stddef.h>

enum { RING_PAGES = 4, MOST_SCSI_DISKS = 4 };

static struct ide_disk ide_disks[IDE_DISKS];
static uint16_t dma_block; // the first port of the controller's registers for DMA

static bool read_by_words(void *disk, uint64_t sector, void *to, uint32_t count)
{
    return ide_read(disk, sector, to, count) == IDE_DONE;
}

static bool read_by_dma(void *disk, uint64_t sector, void *to, uint32_t count)
{
    return ide_dma_read(dma_block, disk, sector, to, count) == IDE_DONE;
}

static uint32_t find_ide(struct block_device *devices, uint32_t most)
{
    uint32_t found = 0;

    dma_block = ide_dma_find();
    for (uint32_t number = 0; number < IDE_DISKS && found < most; number++) {
        struct ide_disk *disk = &ide_disks[number];
        if (ide_find(disk, number) != IDE_DONE)
            continue;
        devices[found++] = (struct block_device){
            .way = dma_block != 0 ? "IDE, by DMA" : "IDE, word by word",
            .sector_count = disk->sector_count,
            .read = dma_block != 0 ? read_by_dma : read_by_words,
            .disk = disk,
        };
    }
    return found;
}

static struct storage storage;
static struct storage_disk scsi_disks[MOST_SCSI_DISKS];
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];

static bool read_by_packets(void *disk, uint64_t sector, void *to, uint32_t count)
{
    return storage_read(&storage, disk, sector, to, count) == STORAGE_DONE;
}

static bool open_controller(void)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};

    if (vmbus_connect(VMBUS_NEWEST) != VMBUS_OK)
        return false;
    const struct vmbus_offer *offer = vmbus_find_offer(&INTERFACE_SCSI, 0);
    return offer != NULL && storage_open(&storage, offer, rings) == STORAGE_DONE;
}

static uint32_t find_scsi(struct block_device *devices, uint32_t most)
{
    uint8_t luns[STORAGE_MOST_LUNS];
    uint32_t count = 0, found = 0;

    if (!open_controller() || storage_list(&storage, luns, &count) != STORAGE_DONE)
        return 0;
    for (uint32_t i = 0; i < count && found < most && found < MOST_SCSI_DISKS; i++) {
        struct storage_disk *disk = &scsi_disks[found];
        if (storage_find(&storage, luns[i], disk) != STORAGE_DONE)
            continue;
        devices[found++] = (struct block_device){
            .way = "SCSI over VMBus",
            .sector_count = disk->sector_count,
            .read = read_by_packets,
            .disk = disk,
        };
    }
    return found;
}

uint32_t block_find(struct block_device *devices, uint32_t most)
{
    const uint32_t found = find_ide(devices, most);

    return found + find_scsi(devices + found, most - found);
}
