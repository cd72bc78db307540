// One way to a disk after the other, behind the same three functions.

#include "lib/block.h"
#include "lib/ide.h"
#include "lib/ide_dma.h"
#include "lib/storage.h"
#include <stddef.h>

enum { RING_PAGES = 64 };

// --- IDE: one piece after the other ---

static struct ide_disk ide;
static uint16_t dma_block; // the first port of the controller's registers for DMA; 0: none
static bool has_looked;    // for that controller

static bool move_pio(void *disk, const struct block_piece *pieces, uint32_t count, bool writes)
{
    enum ide_status status = IDE_DONE;

    for (uint32_t i = 0; i < count && status == IDE_DONE; i++) {
        const struct block_piece *at = &pieces[i];
        status = writes ? ide_write(disk, at->sector, at->memory, at->count)
                        : ide_read(disk, at->sector, at->memory, at->count);
    }
    return status == IDE_DONE;
}

static bool move_dma(void *disk, const struct block_piece *pieces, uint32_t count, bool writes)
{
    enum ide_status status = IDE_DONE;

    for (uint32_t i = 0; i < count && status == IDE_DONE; i++) {
        const struct block_piece *at = &pieces[i];
        status = writes ? ide_dma_write(dma_block, disk, at->sector, at->memory, at->count)
                        : ide_dma_read(dma_block, disk, at->sector, at->memory, at->count);
    }
    return status == IDE_DONE;
}

static void close_ide(void *disk)
{
    (void)disk;
}

static bool open_pio(struct block_device *device, uint32_t number)
{
    if (ide_find(&ide, number) != IDE_DONE)
        return false;
    *device = (struct block_device){ide.sector_count, IDE_SECTOR_BYTES, move_pio, close_ide, &ide};
    return true;
}

static bool open_dma(struct block_device *device, uint32_t number)
{
    if (!has_looked)
        dma_block = ide_dma_find();
    has_looked = true;
    if (dma_block == 0 || !open_pio(device, number))
        return false;
    device->move = move_dma;
    return true;
}

// --- SCSI over VMBus: all at once ---

static struct storage storage;
static struct storage_disk scsi;
static struct storage_request requests[BLOCK_MOST_PIECES];
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];

static bool start(const struct storage_disk *disk, struct storage_request *request,
                  const struct block_piece *at, bool writes)
{
    *request = writes ? storage_writing(disk, at->sector, at->memory, at->count)
                      : storage_reading(disk, at->sector, at->memory, at->count);
    return storage_start(&storage, request) == VMBUS_OK;
}

static bool move_scsi(void *disk, const struct block_piece *pieces, uint32_t count, bool writes)
{
    bool is_done = true;

    for (uint32_t i = 0; i < count; i++)
        if (!start(disk, &requests[i], &pieces[i], writes))
            return false;
    if (storage_publish(&storage) != VMBUS_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct storage_request *request = storage_next(&storage);
        is_done = is_done && request != NULL && request->status == STORAGE_DONE;
    }
    return is_done;
}

static void close_scsi(void *disk)
{
    (void)disk;
    storage_close(&storage);
    vmbus_disconnect();
}

static bool find_scsi(uint32_t number)
{
    static uint8_t luns[STORAGE_MOST_LUNS];
    uint32_t count = 0;

    return storage_list(&storage, luns, &count) == STORAGE_DONE && number < count &&
           storage_find(&storage, luns[number], &scsi) == STORAGE_DONE;
}

// The disks of the first controller.
static bool open_scsi(struct block_device *device, uint32_t number)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};

    if (vmbus_connect(VMBUS_NEWEST) != VMBUS_OK)
        return false;
    const struct vmbus_offer *offer = vmbus_find_offer(&INTERFACE_SCSI, 0);
    if (offer == NULL || storage_open(&storage, offer, rings) != STORAGE_DONE) {
        vmbus_disconnect();
        return false;
    }
    *device = (struct block_device){0, STORAGE_SECTOR_BYTES, move_scsi, close_scsi, &scsi};
    if (find_scsi(number)) {
        device->sector_count = scsi.sector_count;
        return true;
    }
    close_scsi(&scsi);
    return false;
}

const struct block_way block_ways[BLOCK_WAYS] = {
    [BLOCK_IDE_PIO] = {"ide-pio", "IDE, word by word", true, open_pio},
    [BLOCK_SCSI] = {"scsi", "SCSI over VMBus", false, open_scsi},
    [BLOCK_IDE_DMA] = {"ide-dma", "IDE, by DMA", true, open_dma},
};
