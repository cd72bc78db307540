// Reads a CD: what its root directory has, and what is in each file.

#include "iso.h"
#include "lib/boot.h"
#include "lib/cd.h"
#include "lib/console.h"
#include "lib/expect.h"

static void tell_of(struct cd_drive *cd, const struct iso_file *file)
{
    uint32_t checksum = 0;
    const bool is_read = file->is_directory || iso_checksum(cd, file, &checksum);

    expect_begin(file->name, is_read);
    print(": ");
    if (file->is_directory) {
        print("a directory\n");
        return;
    }
    print_decimal(file->byte_count);
    print(" bytes");
    if (is_read) {
        print(", CRC-32 ");
        print_hex(checksum);
    }
    print("\n");
}

static void list(struct cd_drive *cd)
{
    struct iso_directory directory;
    struct iso_file file;

    if (!iso_open(cd, &directory)) {
        print("It has no files.\n");
        return;
    }
    while (iso_next(&directory, &file))
        tell_of(cd, &file);
}

static void read_beyond(struct cd_drive *cd)
{
    enum { ILLEGAL_REQUEST = 5 };
    static uint8_t block[CD_BLOCK_BYTES];

    expect_equal("beyond the end", cd_read(cd, cd->block_count, block, 1), IDE_FAILED);
    expect_equal("the drive says why", cd->sense_key, ILLEGAL_REQUEST);
}

void guest_main(const struct boot_info *info)
{
    uint32_t found = 0;

    (void)info;
    for (uint32_t number = 0; number < IDE_DISKS; number++) {
        struct cd_drive cd;
        const enum ide_status status = cd_find(&cd, number);
        if (status == IDE_NO_DISK)
            continue;
        found++;
        if (!expect_equal("found", status, IDE_DONE))
            continue;
        print("drive ");
        print_decimal(number);
        print(": ");
        print_decimal(cd.block_count);
        print(" blocks\n");
        list(&cd);
        read_beyond(&cd);
    }
    if (!found)
        print("There is no CD. Give one with --disk FILE:cd.\n");
    expect_true("at most four drives were looked for", found <= IDE_DISKS);
}
