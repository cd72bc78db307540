// A guest finds the IDE controller by PCI, and has it move sectors by itself.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/expect.h"
#include "lib/ide_dma.h"
#include "lib/pattern.h"

enum { FEW = 4, MANY = 128, WORDS = MANY * IDE_SECTOR_BYTES / 4, FIRST = 8, MIDDLE = 512 };
enum { ERROR_IDNF = 0x10 };

static uint32_t before[WORDS], after[WORDS];

static void tell_of(const struct ide_disk *disk, uint32_t number)
{
    print("disk ");
    print_decimal(number);
    print(": ");
    print(disk->model);
    print(", ");
    print_decimal(disk->sector_count);
    print(" sectors\n");
}

static void write_and_read(uint16_t block, struct ide_disk *disk, uint64_t sector, uint32_t count,
                           uint32_t seed)
{
    const uint32_t words = count * IDE_SECTOR_BYTES / 4;

    pattern_fill(before, words, seed);
    pattern_fill(after, words, ~seed);
    expect_equal("written", ide_dma_write(block, disk, sector, before, count), IDE_DONE);
    expect_equal("read", ide_dma_read(block, disk, sector, after, count), IDE_DONE);
    expect_equal("words that differ", pattern_differences(before, after, words), 0);
}

static void use(uint16_t block, struct ide_disk *disk, uint32_t number)
{
    tell_of(disk, number);
    write_and_read(block, disk, FIRST, FEW, number + 1);
    write_and_read(block, disk, disk->sector_count - FEW, FEW, number + 11);
    write_and_read(block, disk, MIDDLE, MANY, number + 21);
    expect_equal("flushed", ide_flush(disk), IDE_DONE);
    expect_equal("beyond the end", ide_dma_read(block, disk, disk->sector_count, after, 1),
                 IDE_FAILED);
    expect_true("it says that there is no such sector", disk->error & ERROR_IDNF);
    expect_equal("where no memory is", ide_dma_read(block, disk, FIRST, (void *)0xFFFE0000, FEW),
                 IDE_NO_MEMORY);
}

void guest_main(const struct boot_info *info)
{
    const uint16_t block = ide_dma_find();
    uint32_t found = 0;

    (void)info;
    for (uint32_t number = 0; block != 0 && number < IDE_DISKS; number++) {
        struct ide_disk disk;
        const enum ide_status status = ide_find(&disk, number);
        if (status == IDE_NO_DISK)
            continue;
        found++;
        if (expect_equal("found", status, IDE_DONE))
            use(block, &disk, number);
    }
    if (!found)
        print("There is no disk. Give one with --disk FILE.\n");
    expect_true("at most four disks were looked for", found <= IDE_DISKS);
}
