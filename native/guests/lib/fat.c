// Follows chains of clusters, through directories and files.

#include "lib/fat_names.h"
#include "lib/fat_parts.h"
#include <stddef.h>

uint32_t fat_number(const uint8_t *from, uint32_t byte_count)
{
    uint32_t value = 0;

    for (uint32_t i = byte_count; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

enum fat_status fat_read_sector(const struct fat_volume *volume, uint64_t sector, void *to)
{
    return block_read(volume->device, sector, to, 1) ? FAT_OK : FAT_UNREADABLE;
}

// --- the table ---

static const uint8_t *table_byte(struct fat_volume *volume, uint64_t offset)
{
    const uint64_t sector = volume->table + offset / FAT_SECTOR_BYTES;

    if (sector != volume->cached_sector) {
        volume->cached_sector = 0;
        if (fat_read_sector(volume, sector, volume->cached) != FAT_OK)
            return NULL;
        volume->cached_sector = sector;
    }
    return volume->cached + offset % FAT_SECTOR_BYTES;
}

static uint32_t mask_of(const struct fat_volume *volume)
{
    return volume->bits == 32 ? 0x0FFFFFFF : (UINT32_C(1) << volume->bits) - 1;
}

// An entry of 12 bits may lie across two sectors.
static enum fat_status entry_of(struct fat_volume *volume, uint32_t cluster, uint32_t *ret)
{
    const uint64_t bit = (uint64_t)cluster * volume->bits;
    uint32_t value = 0;

    for (uint32_t i = 0; i < (volume->bits == 32 ? 4U : 2U); i++) {
        const uint8_t *byte = table_byte(volume, bit / 8 + i);
        if (byte == NULL)
            return FAT_UNREADABLE;
        value |= (uint32_t)*byte << 8 * i;
    }
    *ret = value >> bit % 8 & mask_of(volume);
    return FAT_OK;
}

// --- chains ---

static struct fat_cursor cursor_at(uint32_t first)
{
    return (struct fat_cursor){.first = first, .steps = 1, .stride = 1};
}

static struct fat_cursor cursor_at_root(const struct fat_volume *volume)
{
    if (volume->bits == 32)
        return cursor_at(volume->root_cluster);
    return (struct fat_cursor){.sector = volume->root, .sectors_left = volume->root_sectors};
}

static bool is_cluster(const struct fat_volume *volume, uint32_t cluster)
{
    return cluster >= FAT_FIRST_CLUSTER && cluster - FAT_FIRST_CLUSTER < volume->cluster_count;
}

// The cursor is at the first sector of `cluster`. A chain that comes back passes the mark, which
// waits at clusters ever further apart (Brent's algorithm).
static enum fat_status enter(struct fat_volume *volume, struct fat_cursor *cursor, uint32_t cluster)
{
    if (!is_cluster(volume, cluster))
        return FAT_NO_CLUSTER;
    if (cluster == cursor->mark)
        return FAT_LOOP;
    if (volume->clusters_left == 0)
        return FAT_SHARED;
    volume->clusters_left--;
    if (cursor->steps == cursor->stride) {
        cursor->mark = cluster;
        cursor->stride *= 2;
        cursor->steps = 0;
    }
    cursor->steps++;
    cursor->cluster = cluster;
    cursor->sectors_left = volume->sectors_per_cluster;
    cursor->sector =
        volume->data + (uint64_t)(cluster - FAT_FIRST_CLUSTER) * volume->sectors_per_cluster;
    return FAT_OK;
}

static enum fat_status go_on(struct fat_volume *volume, struct fat_cursor *cursor)
{
    uint32_t next;

    if (cursor->stride == 0) // of the root directory that is no chain
        return FAT_END;
    if (cursor->cluster == 0)
        return enter(volume, cursor, cursor->first);
    const enum fat_status status = entry_of(volume, cursor->cluster, &next);
    if (status != FAT_OK)
        return status;
    return next >= (mask_of(volume) & ~7U) ? FAT_END : enter(volume, cursor, next);
}

// The next sectors that follow each other, `most` at most: the first one and how many. Then the
// cursor is behind them. FAT_END: the chain has none.
static enum fat_status take(struct fat_volume *volume, struct fat_cursor *cursor, uint32_t most,
                            struct block_piece *ret)
{
    ret->count = 0;
    while (ret->count < most) {
        if (cursor->sectors_left == 0) {
            const enum fat_status status = go_on(volume, cursor);
            if (status != FAT_OK && ret->count == 0)
                return status;
            if (status != FAT_OK)
                break; // and is met again by who wants more
        }
        if (ret->count == 0)
            ret->sector = cursor->sector;
        else if (cursor->sector != ret->sector + ret->count)
            break;
        const uint32_t room = most - ret->count;
        const uint32_t part = cursor->sectors_left < room ? cursor->sectors_left : room;
        ret->count += part;
        cursor->sector += part;
        cursor->sectors_left -= part;
    }
    return FAT_OK;
}

// --- directories ---

enum { ENTRY_BYTES = 32, NEVER_USED = 0, DELETED = 0xE5 };
enum entry_offset { ATTRIBUTES = 11, CLUSTER_HIGH = 20, CLUSTER_LOW = 26, SIZE = 28 };
enum { LABEL = 0x08, DIRECTORY = 0x10, LONG_NAME = 0x0F, LONG_NAME_MASK = 0x3F };

void fat_begin(struct fat_directory *directory, struct fat_volume *volume,
               const struct fat_entry *entry)
{
    directory->volume = volume;
    directory->cursor = entry == NULL ? cursor_at_root(volume) : cursor_at(entry->first_cluster);
    directory->offset = FAT_SECTOR_BYTES;
    directory->long_part = 0;
}

static enum fat_status read_on(struct fat_directory *directory)
{
    struct block_piece piece;
    const enum fat_status status = take(directory->volume, &directory->cursor, 1, &piece);

    if (status != FAT_OK)
        return status;
    directory->offset = 0;
    return fat_read_sector(directory->volume, piece.sector, directory->sector);
}

static void take_entry(const struct fat_directory *directory, const uint8_t *raw,
                       struct fat_entry *ret)
{
    fat_name(directory, raw, ret->name);
    ret->is_directory = raw[ATTRIBUTES] & DIRECTORY;
    ret->byte_count = fat_number(raw + SIZE, 4);
    ret->first_cluster = fat_number(raw + CLUSTER_LOW, 2);
    if (directory->volume->bits == 32)
        ret->first_cluster |= fat_number(raw + CLUSTER_HIGH, 2) << 16;
}

// Whether `raw` is one of a file or a directory. Parts of its long name come before it.
static bool is_entry(struct fat_directory *directory, const uint8_t *raw)
{
    if (raw[0] != DELETED && (raw[ATTRIBUTES] & LONG_NAME_MASK) == LONG_NAME) {
        fat_long_part(directory, raw);
        return false;
    }
    if (raw[0] != DELETED && raw[0] != '.' && !(raw[ATTRIBUTES] & LABEL))
        return true;
    directory->long_part = 0;
    return false;
}

enum fat_status fat_next(struct fat_directory *directory, struct fat_entry *ret)
{
    for (;;) {
        if (directory->offset == FAT_SECTOR_BYTES) {
            const enum fat_status status = read_on(directory);
            if (status != FAT_OK)
                return status;
        }
        const uint8_t *raw = directory->sector + directory->offset;
        if (raw[0] == NEVER_USED)
            return FAT_END;
        directory->offset += ENTRY_BYTES;
        if (is_entry(directory, raw)) {
            take_entry(directory, raw, ret);
            directory->long_part = 0;
            return FAT_OK;
        }
    }
}

// --- files ---

void fat_file_begin(struct fat_file *file, struct fat_volume *volume, const struct fat_entry *entry)
{
    *file = (struct fat_file){volume, cursor_at(entry->first_cluster), entry->byte_count};
}

enum fat_status fat_file_next(struct fat_file *file, void *to, uint32_t sectors, uint32_t *ret)
{
    const uint32_t needed =
        file->bytes_left / FAT_SECTOR_BYTES + (file->bytes_left % FAT_SECTOR_BYTES != 0);
    struct block_piece piece;

    if (file->bytes_left == 0)
        return FAT_END;
    const enum fat_status status =
        take(file->volume, &file->cursor, needed < sectors ? needed : sectors, &piece);
    if (status != FAT_OK)
        return status == FAT_END ? FAT_SHORT_CHAIN : status;
    if (!block_read(file->volume->device, piece.sector, to, piece.count))
        return FAT_UNREADABLE;
    const uint32_t byte_count = piece.count * FAT_SECTOR_BYTES;
    *ret = byte_count < file->bytes_left ? byte_count : file->bytes_left;
    file->bytes_left -= *ret;
    return FAT_OK;
}
