// Finds the volume, and follows chains of clusters.

#include "lib/fat.h"
#include "lib/fat_names.h"
#include "lib/memory.h"
#include <stddef.h>

enum boot_offset {
    BYTES_PER_SECTOR = 11,
    SECTORS_PER_CLUSTER = 13,
    RESERVED_SECTORS = 14,
    TABLE_COUNT = 16,
    ROOT_ENTRIES = 17,
    SECTORS_16 = 19,
    TABLE_SECTORS_16 = 22,
    SECTORS_32 = 32,
    TABLE_SECTORS_32 = 36,
    ROOT_CLUSTER = 44,
    PARTITIONS = 446,
    SIGNATURE = 510,
};
enum { PARTITION_COUNT = 4, PARTITION_BYTES = 16, PARTITION_TYPE = 4, PARTITION_FIRST = 8 };
enum { ENTRY_BYTES = 32, ENTRIES_PER_SECTOR = BLOCK_SECTOR_BYTES / ENTRY_BYTES, FIRST_CLUSTER = 2 };
enum { MOST_OF_FAT12 = 4084, MOST_OF_FAT16 = 65524 };
static const uint32_t MOST_OF_FAT32 = 0x0FFFFFF5;

static uint32_t bytes_at(const uint8_t *from, uint32_t offset, uint32_t byte_count)
{
    uint32_t value = 0;

    for (uint32_t i = byte_count; i-- > 0;)
        value = value << 8 | from[offset + i];
    return value;
}

static bool read_sector(const struct fat_volume *volume, uint64_t sector, void *to)
{
    return sector < volume->device->sector_count &&
           volume->device->read(volume->device->disk, sector, to, 1);
}

// --- The volume ---

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool understand(struct fat_volume *volume, uint64_t first, const uint8_t *boot)
{
    const uint32_t reserved = bytes_at(boot, RESERVED_SECTORS, 2), tables = boot[TABLE_COUNT];
    const uint32_t root_entries = bytes_at(boot, ROOT_ENTRIES, 2);
    const uint32_t table_16 = bytes_at(boot, TABLE_SECTORS_16, 2);
    const uint32_t table = table_16 ? table_16 : bytes_at(boot, TABLE_SECTORS_32, 4);
    const uint32_t sectors_16 = bytes_at(boot, SECTORS_16, 2);
    const uint32_t sectors = sectors_16 ? sectors_16 : bytes_at(boot, SECTORS_32, 4);

    volume->sectors_per_cluster = boot[SECTORS_PER_CLUSTER];
    if (bytes_at(boot, BYTES_PER_SECTOR, 2) != BLOCK_SECTOR_BYTES || reserved == 0 || tables == 0 ||
        table == 0 || !is_power_of_two(volume->sectors_per_cluster))
        return false;
    volume->root_sectors = (root_entries + ENTRIES_PER_SECTOR - 1) / ENTRIES_PER_SECTOR;
    volume->table = first + reserved;
    volume->root = volume->table + (uint64_t)tables * table;
    volume->data = volume->root + volume->root_sectors;
    if (volume->data > first + sectors)
        return false;
    volume->cluster_count =
        (uint32_t)((first + sectors - volume->data) / volume->sectors_per_cluster);
    volume->bits = volume->cluster_count <= MOST_OF_FAT12   ? 12
                   : volume->cluster_count <= MOST_OF_FAT16 ? 16
                                                            : 32;
    volume->root_cluster = bytes_at(boot, ROOT_CLUSTER, 4);
    const uint64_t room = (uint64_t)table * BLOCK_SECTOR_BYTES * 8 / volume->bits;
    return volume->cluster_count > 0 && volume->cluster_count < MOST_OF_FAT32 &&
           volume->cluster_count + FIRST_CLUSTER <= room &&
           (volume->bits == 32) == (root_entries == 0);
}

static bool may_be_fat(uint8_t type)
{
    static const uint8_t types[] = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E};

    for (uint32_t i = 0; i < sizeof(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

static enum fat_status open_at(struct fat_volume *volume, uint64_t first)
{
    uint8_t boot[BLOCK_SECTOR_BYTES];

    if (!read_sector(volume, first, boot))
        return FAT_UNREADABLE;
    if (bytes_at(boot, SIGNATURE, 2) != 0xAA55)
        return FAT_NONE;
    return understand(volume, first, boot) ? FAT_OK : FAT_NONE;
}

enum fat_status fat_open(struct fat_volume *volume, const struct block_device *device)
{
    uint8_t boot[BLOCK_SECTOR_BYTES];

    *volume = (struct fat_volume){.device = device};
    const enum fat_status status = open_at(volume, 0);
    if (status != FAT_NONE)
        return status;
    if (!read_sector(volume, 0, boot))
        return FAT_UNREADABLE;
    if (bytes_at(boot, SIGNATURE, 2) != 0xAA55)
        return FAT_NONE;
    for (uint32_t i = 0; i < PARTITION_COUNT; i++) {
        const uint8_t *partition = boot + PARTITIONS + (uint64_t)i * PARTITION_BYTES;
        if (may_be_fat(partition[PARTITION_TYPE]) &&
            open_at(volume, bytes_at(partition, PARTITION_FIRST, 4)) == FAT_OK)
            return FAT_OK;
    }
    return FAT_NONE;
}

// --- Chains ---

static const uint8_t *table_byte(struct fat_volume *volume, uint64_t offset)
{
    const uint64_t sector = volume->table + offset / BLOCK_SECTOR_BYTES;

    if (sector != volume->cached_sector) {
        volume->cached_sector = 0;
        if (!read_sector(volume, sector, volume->cached))
            return NULL;
        volume->cached_sector = sector;
    }
    return volume->cached + offset % BLOCK_SECTOR_BYTES;
}

// An entry of 12 bits may lie across two sectors.
static enum fat_status entry_of(struct fat_volume *volume, uint32_t cluster, uint32_t *ret)
{
    const uint64_t bit = (uint64_t)cluster * volume->bits;
    const uint32_t byte_count = volume->bits == 32 ? 4 : 2;

    *ret = 0;
    for (uint32_t i = 0; i < byte_count; i++) {
        const uint8_t *byte = table_byte(volume, bit / 8 + i);
        if (byte == NULL)
            return FAT_UNREADABLE;
        *ret |= (uint32_t)*byte << 8 * i;
    }
    if (volume->bits == 12)
        *ret = bit % 8 ? *ret >> 4 : *ret & 0xFFF;
    *ret &= volume->bits == 32 ? 0x0FFFFFFF : (UINT32_C(1) << volume->bits) - 1;
    return FAT_OK;
}

static bool is_cluster(const struct fat_volume *volume, uint32_t cluster)
{
    return cluster >= FIRST_CLUSTER && cluster - FIRST_CLUSTER < volume->cluster_count;
}

static enum fat_status go_on(struct fat_volume *volume, struct fat_cursor *cursor)
{
    const uint32_t last = (volume->bits == 32 ? 0x0FFFFFFF : (UINT32_C(1) << volume->bits) - 1) - 7;
    uint32_t next;

    if (!is_cluster(volume, cursor->cluster))
        return FAT_BROKEN;
    const enum fat_status status = entry_of(volume, cursor->cluster, &next);
    if (status != FAT_OK)
        return status;
    if (next >= last)
        return FAT_END;
    if (!is_cluster(volume, next) || cursor->clusters_left == 0)
        return FAT_BROKEN;
    *cursor = (struct fat_cursor){next, 0, cursor->clusters_left - 1};
    return FAT_OK;
}

// The sector where the cursor is, and then the cursor is at the next.
static enum fat_status take_sector(struct fat_volume *volume, struct fat_cursor *cursor, void *to)
{
    uint64_t sector = volume->root + cursor->sector;

    if (cursor->cluster == 0) {
        if (cursor->sector == volume->root_sectors)
            return FAT_END;
    } else {
        if (cursor->sector == volume->sectors_per_cluster) {
            const enum fat_status status = go_on(volume, cursor);
            if (status != FAT_OK)
                return status;
        }
        if (!is_cluster(volume, cursor->cluster))
            return FAT_BROKEN;
        sector = volume->data + cursor->sector +
                 (uint64_t)(cursor->cluster - FIRST_CLUSTER) * volume->sectors_per_cluster;
    }
    cursor->sector++;
    return read_sector(volume, sector, to) ? FAT_OK : FAT_UNREADABLE;
}

// --- Directories ---

enum entry_offset { ATTRIBUTES = 11, CLUSTER_HIGH = 20, CLUSTER_LOW = 26, SIZE = 28 };
enum { LABEL = 0x08, DIRECTORY = 0x10, LONG_NAME = 0x0F, LONG_NAME_MASK = 0x3F, DELETED = 0xE5 };

void fat_begin(struct fat_directory *directory, struct fat_volume *volume,
               const struct fat_entry *entry)
{
    uint32_t cluster = entry != NULL ? entry->first_cluster : 0;

    if (entry == NULL && volume->bits == 32)
        cluster = volume->root_cluster;
    else if (entry != NULL && cluster == 0)
        cluster = 1; // no cluster: a directory has one
    directory->volume = volume;
    directory->cursor = (struct fat_cursor){cluster, 0, volume->cluster_count};
    directory->offset = BLOCK_SECTOR_BYTES;
    directory->long_part = 0;
}

static void take_entry(struct fat_directory *directory, const uint8_t *raw, struct fat_entry *ret)
{
    fat_name(directory, raw, ret->name);
    ret->is_directory = raw[ATTRIBUTES] & DIRECTORY;
    ret->byte_count = bytes_at(raw, SIZE, 4);
    ret->first_cluster = bytes_at(raw, CLUSTER_LOW, 2);
    if (directory->volume->bits == 32)
        ret->first_cluster |= bytes_at(raw, CLUSTER_HIGH, 2) << 16;
}

enum fat_status fat_next(struct fat_directory *directory, struct fat_entry *ret)
{
    for (;;) {
        if (directory->offset == BLOCK_SECTOR_BYTES) {
            const enum fat_status status =
                take_sector(directory->volume, &directory->cursor, directory->sector);
            if (status != FAT_OK)
                return status;
            directory->offset = 0;
        }
        const uint8_t *raw = directory->sector + directory->offset;
        if (raw[0] == 0)
            return FAT_END;
        directory->offset += ENTRY_BYTES;
        if (raw[0] == DELETED || raw[0] == '.') {
            directory->long_part = 0;
        } else if ((raw[ATTRIBUTES] & LONG_NAME_MASK) == LONG_NAME) {
            fat_long_part(directory, raw);
        } else if (raw[ATTRIBUTES] & LABEL) {
            directory->long_part = 0;
        } else {
            take_entry(directory, raw, ret);
            directory->long_part = 0;
            return FAT_OK;
        }
    }
}

// --- Files ---

void fat_file_begin(struct fat_file *file, struct fat_volume *volume, const struct fat_entry *entry)
{
    const uint32_t cluster = entry->first_cluster != 0 ? entry->first_cluster : 1;

    *file = (struct fat_file){volume, {cluster, 0, volume->cluster_count}, entry->byte_count};
}

enum fat_status fat_file_next(struct fat_file *file, uint8_t to[BLOCK_SECTOR_BYTES], uint32_t *ret)
{
    if (file->bytes_left == 0)
        return FAT_END;
    const enum fat_status status = take_sector(file->volume, &file->cursor, to);
    if (status != FAT_OK)
        return status == FAT_END ? FAT_BROKEN : status;
    *ret = file->bytes_left < BLOCK_SECTOR_BYTES ? file->bytes_left : BLOCK_SECTOR_BYTES;
    file->bytes_left -= *ret;
    return FAT_OK;
}
