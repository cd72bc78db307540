// A guest finds the disks behind the old IDE ports, and reads and writes sectors word by word.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/ide.h"
#include "lib/pattern.h"

enum { SECTORS = 4, WORDS = SECTORS * IDE_SECTOR_BYTES / 4, FIRST = 8, ERROR_IDNF = 0x10 };

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

static void write_and_read(struct ide_disk *disk, uint64_t sector, uint32_t seed)
{
    pattern_fill(before, WORDS, seed);
    pattern_fill(after, WORDS, ~seed);
    expect_equal("written", ide_write(disk, sector, before, SECTORS), IDE_DONE);
    expect_equal("read", ide_read(disk, sector, after, SECTORS), IDE_DONE);
    expect_equal("words that differ", pattern_differences(before, after, WORDS), 0);
}

static void use(struct ide_disk *disk, uint32_t number)
{
    tell_of(disk, number);
    write_and_read(disk, FIRST, number + 1);
    write_and_read(disk, disk->sector_count - SECTORS, number + 11);
    expect_equal("flushed", ide_flush(disk), IDE_DONE);
    expect_equal("beyond the end", ide_read(disk, disk->sector_count, after, 1), IDE_FAILED);
    expect_true("it says that there is no such sector", disk->error & ERROR_IDNF);
}

void guest_main(const struct boot_info *info)
{
    uint32_t found = 0;

    (void)info;
    for (uint32_t number = 0; number < IDE_DISKS; number++) {
        struct ide_disk disk;
        const enum ide_status status = ide_find(&disk, number);
        if (status == IDE_NO_DISK)
            continue;
        found++;
        if (expect_equal("found", status, IDE_DONE))
            use(&disk, number);
    }
    if (!found)
        print("There is no disk. Give one with --disk FILE.\n");
    expect_true("at most four disks were looked for", found <= IDE_DISKS);
}
