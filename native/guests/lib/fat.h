// Reads volumes with a file allocation table: FAT12, FAT16 and FAT32, with long names.
//
// Spec: Microsoft, "FAT: General Overview of On-Disk Format"; ECMA-107, "Volume and File Structure
// of Disk Cartridges".
// Simplified: nothing is written. A disk is one volume, or has partitions in a table of the first
// sector, of which the first with a sound volume is read; extended partitions and GPT are not. A
// file's chain is followed as far as its size goes, and the second table is never looked at. A
// letter of a short name beyond ASCII is a question mark: no volume says which code page it is of.
//
// Nothing on a disk is believed, and every refusal has a number. All that a walk or a search reads
// (lib/fat_tree.h) is no more clusters than the volume has: chains that meet end it.
#ifndef GUESTS_FAT_H
#define GUESTS_FAT_H
#include "lib/block.h"

enum { FAT_SECTOR_BYTES = 512 };

// The refusals are from FAT_UNREADABLE on; fat_reason() says each in words.
enum fat_status {
    FAT_OK,
    FAT_END, // there is no more
    FAT_UNREADABLE,
    FAT_NO_VOLUME,
    FAT_BAD_SECTORS,
    FAT_BAD_CLUSTERS,
    FAT_BAD_LAYOUT,
    FAT_BEYOND_DISK,
    FAT_SHORT_TABLE,
    FAT_BAD_TYPE,
    FAT_NO_CLUSTER,
    FAT_LOOP,
    FAT_SHORT_CHAIN,
    FAT_SHARED,
    FAT_DIRECTORY_LOOP,
    FAT_TOO_DEEP,
    FAT_NOT_FOUND,
    FAT_NO_FILE,
    FAT_STATUSES,
};

// Sectors are the disk's, of FAT_SECTOR_BYTES, and counted from its beginning.
struct fat_volume {
    const struct block_device *device;
    uint32_t bits; // 12, 16 or 32: of an entry of the table
    uint32_t cluster_count, sectors_per_cluster;
    uint64_t table, root, data; // where each part begins
    uint32_t root_sectors;      // of the root directory of FAT12 and FAT16
    uint32_t root_cluster;      // of that of FAT32
    uint32_t clusters_left;     // that may still be read
    uint64_t cached_sector;     // which one of the table is in `cached`; 0: none
    uint8_t cached[FAT_SECTOR_BYTES];
};

// A place in a chain of clusters, or in the root directory that is none.
struct fat_cursor {
    uint64_t sector; // the next one, if any are left before the chain goes on
    uint32_t sectors_left;
    uint32_t cluster; // that `sector` is in; 0: none so far
    uint32_t first;   // of the chain; 0: there is none
    uint32_t mark, steps, stride;
};

enum { FAT_NAME_BYTES = 3 * 255 + 1, FAT_LONG_LETTERS = 260 };

struct fat_entry {
    char name[FAT_NAME_BYTES]; // in UTF-8, without what a terminal or a path would misunderstand
    uint32_t first_cluster, byte_count;
    bool is_directory;
};

struct fat_directory {
    struct fat_volume *volume;
    struct fat_cursor cursor;
    uint32_t offset; // in `sector`; FAT_SECTOR_BYTES: it has been read to its end
    uint8_t sector[FAT_SECTOR_BYTES];
    uint16_t long_name[FAT_LONG_LETTERS]; // as far as it was seen, from its end on
    uint8_t long_part, long_checksum;     // the part that was last; 0: there is no long name
};

struct fat_file {
    struct fat_volume *volume;
    struct fat_cursor cursor;
    uint32_t bytes_left;
};

// The volume that the disk is, or the first one among its partitions.
enum fat_status fat_open(struct fat_volume *volume, const struct block_device *device);

// Goes through the directory of `entry`, or the root directory for NULL. "." and ".." are left out.
void fat_begin(struct fat_directory *directory, struct fat_volume *volume,
               const struct fat_entry *entry);
enum fat_status fat_next(struct fat_directory *directory, struct fat_entry *ret);

// The next bytes of a file, `sectors` sectors of them at most, and fewer where its clusters do not
// follow each other: how many in `ret`. The memory is for whole sectors.
void fat_file_begin(struct fat_file *file, struct fat_volume *volume,
                    const struct fat_entry *entry);
enum fat_status fat_file_next(struct fat_file *file, void *to, uint32_t sectors, uint32_t *ret);

// A refusal in words.
const char *fat_reason(enum fat_status status);

#endif
