// One way to a disk after the other, behind the same three functions.

#include "io.h"
#include "lib/ide.h"
#include "lib/ide_dma.h"
#include "lib/storage.h"
#include <stddef.h>

enum { SECTOR_BYTES = 512, RING_PAGES = 64 };

static uint64_t sectors_needed(const struct io_plan *plan)
{
    return (uint64_t)plan->request_bytes / SECTOR_BYTES * plan->request_count;
}

static uint64_t first_sector(const struct io_plan *plan, uint32_t request)
{
    return (uint64_t)plan->request_bytes / SECTOR_BYTES * request;
}

static uint8_t *piece_of(const struct io_plan *plan, uint32_t number)
{
    return plan->buffer + (uint64_t)plan->request_bytes * number;
}

// --- IDE: one request after the other, whatever the plan wishes ---

static struct ide_disk ide;

static bool ide_open(const struct io_plan *plan)
{
    return ide_find(&ide, 0) == IDE_DONE && ide.sector_count >= sectors_needed(plan);
}

static bool ide_move_pio(const struct io_plan *plan, uint32_t first, uint32_t count, bool writes)
{
    const uint32_t sectors = plan->request_bytes / SECTOR_BYTES;
    enum ide_status status = IDE_DONE;

    for (uint32_t i = 0; i < count && status == IDE_DONE; i++) {
        const uint64_t sector = first_sector(plan, first + i);
        status = writes ? ide_write(&ide, sector, piece_of(plan, i), sectors)
                        : ide_read(&ide, sector, piece_of(plan, i), sectors);
    }
    return status == IDE_DONE;
}

static uint16_t dma_block; // the first port of the controller's registers for DMA

static bool ide_open_dma(const struct io_plan *plan)
{
    dma_block = ide_dma_find();
    return dma_block != 0 && ide_open(plan);
}

static bool ide_move_dma(const struct io_plan *plan, uint32_t first, uint32_t count, bool writes)
{
    const uint32_t sectors = plan->request_bytes / SECTOR_BYTES;
    enum ide_status status = IDE_DONE;

    for (uint32_t i = 0; i < count && status == IDE_DONE; i++) {
        const uint64_t sector = first_sector(plan, first + i);
        status = writes ? ide_dma_write(dma_block, &ide, sector, piece_of(plan, i), sectors)
                        : ide_dma_read(dma_block, &ide, sector, piece_of(plan, i), sectors);
    }
    return status == IDE_DONE;
}

static void ide_close(void)
{
}

// --- SCSI over VMBus: all at once ---

static struct storage storage;
static struct storage_disk disk;
static struct storage_request requests[MOST_DEPTH];
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];

static bool find_disk(const struct io_plan *plan)
{
    uint8_t luns[STORAGE_MOST_LUNS];
    uint32_t count = 0;

    return storage_list(&storage, luns, &count) == STORAGE_DONE && count > 0 &&
           storage_find(&storage, luns[0], &disk) == STORAGE_DONE &&
           disk.sector_count >= sectors_needed(plan);
}

static void scsi_close(void)
{
    storage_close(&storage);
    vmbus_disconnect();
}

static bool scsi_open(const struct io_plan *plan)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};

    if (vmbus_connect(VMBUS_NEWEST) != VMBUS_OK)
        return false;
    const struct vmbus_offer *offer = vmbus_find_offer(&INTERFACE_SCSI, 0);
    if (offer == NULL || storage_open(&storage, offer, rings) != STORAGE_DONE) {
        vmbus_disconnect();
        return false;
    }
    if (find_disk(plan))
        return true;
    scsi_close();
    return false;
}

static bool start(const struct io_plan *plan, uint32_t first, uint32_t number, bool writes)
{
    const uint64_t sector = first_sector(plan, first + number);
    const uint32_t sectors = plan->request_bytes / SECTOR_BYTES;
    uint8_t *piece = piece_of(plan, number);

    requests[number] = writes ? storage_writing(&disk, sector, piece, sectors)
                              : storage_reading(&disk, sector, piece, sectors);
    return storage_start(&storage, &requests[number]) == VMBUS_OK;
}

static bool scsi_move(const struct io_plan *plan, uint32_t first, uint32_t count, bool writes)
{
    bool is_done = true;

    for (uint32_t i = 0; i < count; i++)
        if (!start(plan, first, i, writes))
            return false;
    if (storage_publish(&storage) != VMBUS_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct storage_request *request = storage_next(&storage);
        is_done = is_done && request != NULL && request->status == STORAGE_DONE;
    }
    return is_done;
}

const struct io_way io_ways[WAY_COUNT] = {
    [WAY_IDE_PIO] = {"IDE, word by word", ide_open, ide_move_pio, ide_close},
    [WAY_IDE_DMA] = {"IDE, by DMA", ide_open_dma, ide_move_dma, ide_close},
    [WAY_SCSI] = {"SCSI over VMBus", scsi_open, scsi_move, scsi_close},
};
