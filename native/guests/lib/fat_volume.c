// Finds the volume of a disk, and checks what its boot sector says.

#include "lib/fat_parts.h"

enum boot_offset {
    JUMP = 0,
    BYTES_PER_SECTOR = 11,
    SECTORS_PER_CLUSTER = 13,
    RESERVED_SECTORS = 14,
    TABLE_COUNT = 16,
    ROOT_ENTRIES = 17,
    SECTORS_16 = 19,
    TABLE_SECTORS_16 = 22,
    SECTORS_32 = 32,
    TABLE_SECTORS_32 = 36,
    FLAGS_32 = 40,
    VERSION_32 = 42,
    ROOT_CLUSTER = 44,
    PARTITIONS = 446,
    SIGNATURE = 510,
};
enum { IS_BOOT_SECTOR = 0xAA55, SHORT_JUMP = 0xEB, NEAR_JUMP = 0xE9 };
enum { PARTITION_COUNT = 4, PARTITION_BYTES = 16, PARTITION_TYPE = 4, PARTITION_FIRST = 8 };
enum { MOST_SECTOR_BYTES = 4096, ENTRY_BYTES = 32, MOST_OF_FAT12 = 4084, MOST_OF_FAT16 = 65524 };
enum { ONE_TABLE_ONLY = 0x80, WHICH_TABLE = 0x0F }; // of the flags of FAT32
static const uint32_t MOST_OF_FAT32 = 0x0FFFFFF5;

// What a boot sector says, in its own sectors.
struct boot {
    uint32_t sector_bytes, sectors_per_cluster, reserved, tables, root_entries;
    uint32_t sectors, table_sectors, table_sectors_16;
    uint32_t flags, version, root_cluster; // of FAT32 only
};

static struct boot boot_of(const uint8_t *sector)
{
    struct boot boot = {
        .sector_bytes = fat_number(sector + BYTES_PER_SECTOR, 2),
        .sectors_per_cluster = sector[SECTORS_PER_CLUSTER],
        .reserved = fat_number(sector + RESERVED_SECTORS, 2),
        .tables = sector[TABLE_COUNT],
        .root_entries = fat_number(sector + ROOT_ENTRIES, 2),
        .sectors = fat_number(sector + SECTORS_16, 2),
        .table_sectors_16 = fat_number(sector + TABLE_SECTORS_16, 2),
        .flags = fat_number(sector + FLAGS_32, 2),
        .version = fat_number(sector + VERSION_32, 2),
        .root_cluster = fat_number(sector + ROOT_CLUSTER, 4),
    };

    if (boot.sectors == 0)
        boot.sectors = fat_number(sector + SECTORS_32, 4);
    boot.table_sectors = boot.table_sectors_16;
    if (boot.table_sectors == 0)
        boot.table_sectors = fat_number(sector + TABLE_SECTORS_32, 4);
    return boot;
}

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

// Where the parts of the volume are, which follow each other.
static enum fat_status lay_out(struct fat_volume *volume, uint64_t first, const struct boot *boot)
{
    const uint32_t scale = boot->sector_bytes / FAT_SECTOR_BYTES;
    const uint32_t entries_per_sector = boot->sector_bytes / ENTRY_BYTES;
    const uint64_t tables = (uint64_t)boot->tables * boot->table_sectors;
    const uint64_t root = boot->reserved + tables;
    const uint64_t data = root + (boot->root_entries + entries_per_sector - 1) / entries_per_sector;

    if (boot->reserved == 0 || tables == 0 || data > boot->sectors)
        return FAT_BAD_LAYOUT;
    if (first + (uint64_t)boot->sectors * scale > volume->device->sector_count)
        return FAT_BEYOND_DISK;
    volume->table = first + (uint64_t)boot->reserved * scale;
    volume->root = first + root * scale;
    volume->data = first + data * scale;
    volume->root_sectors = (uint32_t)(data - root) * scale;
    volume->sectors_per_cluster = boot->sectors_per_cluster * scale;
    volume->cluster_count = (uint32_t)((boot->sectors - data) / boot->sectors_per_cluster);
    return FAT_OK;
}

// The number of clusters alone says how wide the entries of the table are.
static enum fat_status find_type(struct fat_volume *volume, const struct boot *boot)
{
    const uint64_t table_bits = (uint64_t)boot->table_sectors * boot->sector_bytes * 8;

    if (volume->cluster_count == 0 || volume->cluster_count > MOST_OF_FAT32)
        return FAT_BAD_CLUSTERS;
    volume->bits = volume->cluster_count <= MOST_OF_FAT12   ? 12
                   : volume->cluster_count <= MOST_OF_FAT16 ? 16
                                                            : 32;
    if (volume->cluster_count + (uint64_t)FAT_FIRST_CLUSTER > table_bits / volume->bits)
        return FAT_SHORT_TABLE;
    const bool looks_wide = boot->table_sectors_16 == 0 && boot->root_entries == 0;
    const bool looks_narrow = boot->table_sectors_16 != 0 && boot->root_entries != 0;
    return (volume->bits == 32 ? looks_wide : looks_narrow) ? FAT_OK : FAT_BAD_TYPE;
}

static enum fat_status check_wide(struct fat_volume *volume, const struct boot *boot)
{
    const uint32_t scale = boot->sector_bytes / FAT_SECTOR_BYTES;

    if (boot->version != 0)
        return FAT_BAD_TYPE;
    volume->root_cluster = boot->root_cluster & 0x0FFFFFFF;
    if (!(boot->flags & ONE_TABLE_ONLY))
        return FAT_OK;
    if ((boot->flags & WHICH_TABLE) >= boot->tables)
        return FAT_BAD_LAYOUT;
    volume->table += (uint64_t)(boot->flags & WHICH_TABLE) * boot->table_sectors * scale;
    return FAT_OK;
}

static enum fat_status understand(struct fat_volume *volume, uint64_t first,
                                  const struct boot *boot)
{
    if (!is_power_of_two(boot->sector_bytes) || boot->sector_bytes < FAT_SECTOR_BYTES ||
        boot->sector_bytes > MOST_SECTOR_BYTES)
        return FAT_BAD_SECTORS;
    if (!is_power_of_two(boot->sectors_per_cluster))
        return FAT_BAD_CLUSTERS;
    enum fat_status status = lay_out(volume, first, boot);
    if (status == FAT_OK)
        status = find_type(volume, boot);
    if (status == FAT_OK && volume->bits == 32)
        status = check_wide(volume, boot);
    return status;
}

static enum fat_status open_at(struct fat_volume *volume, uint64_t first, const uint8_t *sector)
{
    const struct boot boot = boot_of(sector);

    if (fat_number(sector + SIGNATURE, 2) != IS_BOOT_SECTOR ||
        (sector[JUMP] != SHORT_JUMP && sector[JUMP] != NEAR_JUMP))
        return FAT_NO_VOLUME;
    return understand(volume, first, &boot);
}

static bool may_be_fat(uint8_t type)
{
    static const uint8_t types[] = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E};

    for (uint32_t i = 0; i < sizeof(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

static enum fat_status open_partition(struct fat_volume *volume, const uint8_t *partition)
{
    const uint64_t first = fat_number(partition + PARTITION_FIRST, 4);
    uint8_t sector[FAT_SECTOR_BYTES];

    if (!may_be_fat(partition[PARTITION_TYPE]))
        return FAT_NO_VOLUME;
    if (first >= volume->device->sector_count)
        return FAT_BEYOND_DISK;
    const enum fat_status status = fat_read_sector(volume, first, sector);
    return status == FAT_OK ? open_at(volume, first, sector) : status;
}

// Where nothing can be opened, the reason is that of the last partition that should have a volume.
enum fat_status fat_open(struct fat_volume *volume, const struct block_device *device)
{
    uint8_t sector[FAT_SECTOR_BYTES];

    *volume = (struct fat_volume){.device = device};
    if (device->sector_bytes != FAT_SECTOR_BYTES)
        return FAT_BAD_SECTORS;
    enum fat_status reason = fat_read_sector(volume, 0, sector);
    if (reason == FAT_OK)
        reason = open_at(volume, 0, sector);
    if (reason <= FAT_UNREADABLE || fat_number(sector + SIGNATURE, 2) != IS_BOOT_SECTOR)
        return reason;
    for (uint32_t i = 0; i < PARTITION_COUNT; i++) {
        const enum fat_status status =
            open_partition(volume, sector + PARTITIONS + (uint64_t)i * PARTITION_BYTES);
        if (status == FAT_OK)
            return FAT_OK;
        reason = status == FAT_NO_VOLUME ? reason : status;
    }
    return reason;
}

const char *fat_reason(enum fat_status status)
{
    static const char *const reasons[FAT_STATUSES] = {
        [FAT_UNREADABLE] = "the disk refuses a sector",
        [FAT_NO_VOLUME] = "there is no volume with a file allocation table",
        [FAT_BAD_SECTORS] = "a sector has 512, 1024, 2048 or 4096 bytes",
        [FAT_BAD_CLUSTERS] = "a cluster is a power of two of sectors, and there is at least one",
        [FAT_BAD_LAYOUT] = "boot sector, tables and root directory do not fit into the volume",
        [FAT_BEYOND_DISK] = "the volume is longer than its disk",
        [FAT_SHORT_TABLE] = "the table has fewer entries than there are clusters",
        [FAT_BAD_TYPE] = "the boot sector is not of the type that the number of clusters says",
        [FAT_NO_CLUSTER] = "a chain leads to a cluster that is free, bad or not there",
        [FAT_LOOP] = "a chain comes back to itself",
        [FAT_SHORT_CHAIN] = "a chain ends before its file",
        [FAT_SHARED] = "clusters belong to more than one file or directory",
        [FAT_DIRECTORY_LOOP] = "a directory is within itself",
        [FAT_TOO_DEEP] = "directories are deeper than this reader goes",
        [FAT_NOT_FOUND] = "there is no such file",
        [FAT_NO_FILE] = "it is a directory",
    };

    return status < FAT_STATUSES && reasons[status] ? reasons[status] : "";
}
