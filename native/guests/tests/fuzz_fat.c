// A fuzz target: the guests' reader of FAT volumes goes through a disk that the input makes.
//
// Spec: LLVM, "libFuzzer, a library for coverage-guided fuzz testing" (the entry point).
//
//   clang -fsanitize=fuzzer,address,undefined -I. tests/fuzz_fat.c lib/fat*.c lib/block.c
//   cc -fsanitize=address,undefined -I. tests/fuzz_fat.c ../core/tests/fuzz_main.c lib/fat*.c ...
//
// The input: four bytes with the sectors of the disk, and then sectors, each with its number in
// four bytes before it. All other sectors are zeros.

#include "lib/fat_tree.h"
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 4, RECORD = NUMBER_BYTES + FAT_SECTOR_BYTES, CHUNK_SECTORS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct disk {
    const uint8_t *records;
    size_t record_count;
    uint64_t sector_count, read_count;
};

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static void read_sector(struct disk *disk, uint64_t sector, uint8_t *to)
{
    expect(sector < disk->sector_count);
    disk->read_count++;
    memset(to, 0, FAT_SECTOR_BYTES);
    for (size_t i = 0; i < disk->record_count; i++)
        if (word_at(disk->records + i * RECORD) == sector)
            memcpy(to, disk->records + i * RECORD + NUMBER_BYTES, FAT_SECTOR_BYTES);
}

static bool move(void *disk, const struct block_piece *pieces, uint32_t count, bool writes)
{
    expect(count == 1 && !writes);
    for (uint32_t i = 0; i < pieces->count; i++)
        read_sector(disk, pieces->sector + i,
                    (uint8_t *)pieces->memory + (size_t)i * FAT_SECTOR_BYTES);
    return true;
}

static void read_file(struct fat_volume *volume, const struct fat_entry *entry)
{
    uint8_t *chunk = malloc(CHUNK_SECTORS * FAT_SECTOR_BYTES); // a byte too many is seen
    uint32_t byte_count, all = 0;
    enum fat_status status;
    struct fat_file file;

    fat_file_begin(&file, volume, entry);
    while ((status = fat_file_next(&file, chunk, CHUNK_SECTORS, &byte_count)) == FAT_OK)
        all += byte_count;
    expect(status == FAT_END ? all == entry->byte_count : *fat_reason(status) != '\0');
    free(chunk);
}

static void check_name(const char *name)
{
    expect(strlen(name) < FAT_NAME_BYTES);
    for (; *name != '\0'; name++)
        expect((uint8_t)*name >= ' ' && *name != '/');
}

// The parts follow each other and end on the disk, and each cluster has an entry in the table.
static void check_volume(const struct fat_volume *volume)
{
    const uint64_t sectors = (uint64_t)volume->cluster_count * volume->sectors_per_cluster;
    const uint64_t table_bits = (volume->root - volume->table) * FAT_SECTOR_BYTES * 8;

    expect(volume->table > 0 && volume->table < volume->root && volume->root <= volume->data);
    expect(sectors > 0 && volume->data + sectors <= volume->device->sector_count);
    expect((volume->cluster_count + UINT64_C(2)) * volume->bits <= table_bits);
}

// No more than each cluster once, with what is looked up in the table for it and for chains that
// end too early; and the root directory.
static uint64_t most_reads(const struct fat_volume *volume)
{
    const uint64_t tables = 6 * ((uint64_t)volume->cluster_count + 1);

    return (uint64_t)volume->cluster_count * volume->sectors_per_cluster + tables +
           volume->root_sectors + 16;
}

static void walk(struct disk *disk, struct fat_volume *volume)
{
    struct fat_tree *tree = malloc(sizeof(*tree));
    enum fat_status status;

    disk->read_count = 0;
    fat_tree_begin(tree, volume);
    while ((status = fat_tree_next(tree)) != FAT_END) {
        expect(tree->depth <= FAT_TREE_DEPTH);
        if (status != FAT_OK) {
            expect(*fat_reason(status) != '\0');
            continue;
        }
        const struct fat_entry *entry = &tree->entries[tree->depth - 1];
        check_name(entry->name);
        if (!entry->is_directory)
            read_file(volume, entry);
    }
    free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct disk disk = {.record_count = 0};
    struct block_device device = {.sector_bytes = FAT_SECTOR_BYTES, .move = move, .disk = &disk};
    struct fat_volume *volume = malloc(sizeof(*volume));
    struct fat_entry entry;

    if (byte_count >= NUMBER_BYTES) {
        disk.records = bytes + NUMBER_BYTES;
        disk.record_count = (byte_count - NUMBER_BYTES) / RECORD;
        disk.sector_count = device.sector_count = (uint64_t)word_at(bytes) % (1 << 18) + 1;
        if (fat_open(volume, &device) == FAT_OK) {
            check_volume(volume);
            walk(&disk, volume);
            expect(disk.read_count <= most_reads(volume));
            fat_find(volume, "A/B", &entry);
        }
    }
    free(volume);
    return 0;
}
