// Tells of a volume by print() and by expectations: what cannot be read fails one, and says why.

#include "listing.h"
#include "lib/console.h"
#include "lib/crc32.h"
#include "lib/expect.h"
#include "lib/fat_tree.h"

enum { CHUNK_SECTORS = 64, CHUNK_BYTES = CHUNK_SECTORS * FAT_SECTOR_BYTES };

static struct fat_volume volume;
static struct fat_tree tree;
static _Alignas(4096) uint8_t chunk[CHUNK_BYTES + 1]; // and a zero, where it is text

static bool is_refusal(enum fat_status status)
{
    return status >= FAT_UNREADABLE;
}

// The end of a line that was begun.
static void end_line(enum fat_status status)
{
    if (is_refusal(status)) {
        print(": ");
        print(fat_reason(status));
        print(" (reason ");
        print_decimal(status);
        print(")");
    }
    print("\n");
}

static void begin_line(enum fat_status status)
{
    expect_begin("", !is_refusal(status));
    for (uint32_t i = 0; i < tree.depth; i++) {
        print(i > 0 ? "/" : "");
        print(tree.entries[i].name);
    }
}

static void tell_of_file(const struct fat_entry *entry)
{
    uint32_t checksum = 0, byte_count;
    enum fat_status status;
    struct fat_file file;

    fat_file_begin(&file, &volume, entry);
    while ((status = fat_file_next(&file, chunk, CHUNK_SECTORS, &byte_count)) == FAT_OK)
        checksum = crc32(checksum, chunk, byte_count);
    begin_line(status);
    print(": ");
    print_decimal(entry->byte_count);
    print(" bytes");
    if (!is_refusal(status)) {
        print(", CRC-32 ");
        print_hex(checksum);
    }
    end_line(status);
}

static void list(void)
{
    enum fat_status status;

    fat_tree_begin(&tree, &volume);
    while ((status = fat_tree_next(&tree)) != FAT_END) {
        if (status == FAT_OK && !tree.entries[tree.depth - 1].is_directory) {
            tell_of_file(&tree.entries[tree.depth - 1]);
            continue;
        }
        begin_line(status);
        print("/");
        end_line(status);
    }
}

static enum fat_status print_file(const char *path)
{
    struct fat_entry entry;
    struct fat_file file;
    uint32_t byte_count;
    uint8_t last = '\n';

    enum fat_status status = fat_find(&volume, path, &entry);
    if (status != FAT_OK || entry.is_directory)
        return status == FAT_OK ? FAT_NO_FILE : status;
    fat_file_begin(&file, &volume, &entry);
    while ((status = fat_file_next(&file, chunk, CHUNK_SECTORS, &byte_count)) == FAT_OK) {
        chunk[byte_count] = '\0';
        print((const char *)chunk);
        last = chunk[byte_count - 1];
    }
    if (last != '\n')
        print("\n");
    return status;
}

void tell_of_disk(const struct block_device *device, const char *path)
{
    const enum fat_status status = fat_open(&volume, device);

    print_decimal(device->sector_count);
    print(" sectors");
    if (status != FAT_OK) {
        print("\n");
        expect_begin("what is on it", status == FAT_NO_VOLUME && *path == '\0');
        end_line(status);
        return;
    }
    print(", FAT");
    print_decimal(volume.bits);
    print(" with ");
    print_decimal(volume.cluster_count);
    print(" clusters\n");
    if (*path == '\0') {
        list();
        return;
    }
    const enum fat_status printed = print_file(path);
    expect_begin(path, !is_refusal(printed));
    end_line(printed);
}
