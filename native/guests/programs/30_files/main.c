// Reads the files of every disk that has a volume with a file allocation table.

#include "lib/block.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/crc32.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/fat_tree.h"

enum { MOST_DISKS = 8, MOST_TEXT_BYTES = 4096 };

static struct vp_area area;
static struct fat_volume volume;
static struct fat_tree tree;
static const char *wanted; // the path of the file that is printed: the guest's arguments

static const char *const failures[] = {
    [FAT_UNREADABLE] = "a sector cannot be read",
    [FAT_BROKEN] = "the volume contradicts itself",
};

// The checksum of a file that is read to its end.
static enum fat_status read_file(const struct fat_entry *entry, uint32_t *checksum)
{
    uint8_t sector[BLOCK_SECTOR_BYTES];
    enum fat_status status;
    struct fat_file file;
    uint32_t size;

    *checksum = 0;
    fat_file_begin(&file, &volume, entry);
    while ((status = fat_file_next(&file, sector, &size)) == FAT_OK)
        *checksum = crc32(*checksum, sector, size);
    return status;
}

static void print_text(const struct fat_entry *entry)
{
    static uint8_t text[MOST_TEXT_BYTES + BLOCK_SECTOR_BYTES + 1];
    struct fat_file file;
    uint32_t length = 0, size;

    fat_file_begin(&file, &volume, entry);
    while (length < MOST_TEXT_BYTES && fat_file_next(&file, text + length, &size) == FAT_OK)
        length += size;
    text[length] = 0;
    print((const char *)text);
}

// Whether the path of the last entry is the one that is wanted.
static bool is_wanted(void)
{
    const char *rest = wanted;

    for (uint32_t i = 0; i < tree.depth; i++) {
        if (i > 0 && *rest++ != '/')
            return false;
        for (const char *name = tree.entries[i].name; *name != '\0'; name++)
            if (*name != *rest++)
                return false;
    }
    return *rest == '\0';
}

static void print_path(void)
{
    for (uint32_t i = 0; i < tree.depth; i++) {
        print(i > 0 ? "/" : "");
        print(tree.entries[i].name);
    }
}

static void tell_of(const struct fat_entry *entry)
{
    uint32_t checksum = 0;
    enum fat_status status = FAT_END;

    if (!entry->is_directory)
        status = read_file(entry, &checksum);
    expect_begin("", status == FAT_END);
    print_path();
    if (entry->is_directory) {
        print("/\n");
        return;
    }
    print(": ");
    print_decimal(entry->byte_count);
    print(" bytes, ");
    if (status == FAT_END) {
        print("CRC-32 ");
        print_hex(checksum);
    } else {
        print(failures[status]);
    }
    print("\n");
    if (is_wanted())
        print_text(entry);
}

static void list(const struct block_device *device)
{
    enum fat_status status;

    print(device->way);
    print(": ");
    print_decimal(device->sector_count);
    print(" sectors, ");
    status = fat_open(&volume, device);
    if (status != FAT_OK) {
        print(status == FAT_NONE ? "no FAT volume\n" : "and the first cannot be read\n");
        return;
    }
    print("FAT");
    print_decimal(volume.bits);
    print(" with ");
    print_decimal(volume.cluster_count);
    print(" clusters\n");
    fat_tree_begin(&tree, &volume);
    while ((status = fat_tree_next(&tree)) != FAT_END)
        if (status == FAT_OK)
            tell_of(&tree.entries[tree.depth - 1]);
        else
            expect_true(failures[status], false);
}

void guest_main(const struct boot_info *info)
{
    struct block_device devices[MOST_DISKS];

    wanted = info->arguments;
    descriptors_install(&area);
    const uint32_t count = block_find(devices, MOST_DISKS);
    for (uint32_t i = 0; i < count; i++)
        list(&devices[i]);
    if (count == 0)
        print("There is no disk. Give one with --disk FILE or --disk FILE:scsi.\n");
    expect_true("no more disks were looked for than there is room for", count <= MOST_DISKS);
}
