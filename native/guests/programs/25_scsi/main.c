// A guest finds the disks behind its SCSI controller, and reads and writes many sectors at once.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/pattern.h"
#include "lib/storage.h"

enum {
    SECTORS = 4,
    WORDS = SECTORS * STORAGE_SECTOR_BYTES / 4,
    FIRST = 8,
    RING_PAGES = 4,
    ILLEGAL_REQUEST = 5,
    OUT_OF_RANGE = 0x2100,
};

static struct vp_area area;
static struct storage storage;
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];
static uint32_t before[WORDS], after[WORDS];

static void tell_of(const struct storage_disk *disk)
{
    print("LUN ");
    print_decimal(disk->lun);
    print(": ");
    print(disk->product);
    print(", ");
    print_decimal(disk->sector_count);
    print(" sectors\n");
}

static void write_and_read(const struct storage_disk *disk, uint64_t sector, uint32_t seed)
{
    pattern_fill(before, WORDS, seed);
    pattern_fill(after, WORDS, ~seed);
    expect_equal("written", storage_write(&storage, disk, sector, before, SECTORS), STORAGE_DONE);
    expect_equal("read", storage_read(&storage, disk, sector, after, SECTORS), STORAGE_DONE);
    expect_equal("words that differ", pattern_differences(before, after, WORDS), 0);
}

static void look_beyond_the_end(const struct storage_disk *disk)
{
    struct storage_request request = storage_reading(disk, disk->sector_count, after, 1);

    expect_equal("beyond the end", storage_do(&storage, &request), STORAGE_FAILED);
    expect_true("it says that there is no such sector",
                request.sense_key == ILLEGAL_REQUEST && request.additional == OUT_OF_RANGE);
}

static void use(const struct storage_disk *disk)
{
    tell_of(disk);
    write_and_read(disk, FIRST, disk->lun + 1);
    write_and_read(disk, disk->sector_count - SECTORS, disk->lun + 11);
    expect_equal("flushed", storage_flush(&storage, disk), STORAGE_DONE);
    look_beyond_the_end(disk);
}

static void use_controller(const struct vmbus_offer *offer)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};
    uint8_t luns[STORAGE_MOST_LUNS];
    uint32_t count = 0;
    struct storage_disk disk;

    if (!expect_equal("opening a controller", storage_open(&storage, offer, rings), STORAGE_DONE))
        return;
    expect_equal("asking which disks there are", storage_list(&storage, luns, &count),
                 STORAGE_DONE);
    for (uint32_t i = 0; i < count; i++)
        if (expect_equal("found", storage_find(&storage, luns[i], &disk), STORAGE_DONE))
            use(&disk);
    expect_equal("closing it", storage_close(&storage), STORAGE_DONE);
}

void guest_main(const struct boot_info *info)
{
    const struct vmbus_offer *offer;

    (void)info;
    descriptors_install(&area);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    for (uint32_t nth = 0; (offer = vmbus_find_offer(&INTERFACE_SCSI, nth)); nth++)
        use_controller(offer);
    if (!vmbus_find_offer(&INTERFACE_SCSI, 0))
        print("There is no disk. Give one with --disk FILE:scsi.\n");
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
