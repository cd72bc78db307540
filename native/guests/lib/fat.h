// Reads volumes with a file allocation table: FAT12, FAT16 and FAT32, with long names.
//
// Spec: Microsoft, "FAT: General Overview of On-Disk Format"; ECMA-107, "Volume and File Structure
// of Disk Cartridges". Nothing on a disk is believed: a volume that contradicts itself is
// FAT_BROKEN where that shows, and no function reads more sectors than the volume has clusters.
#ifndef GUESTS_FAT_H
#define GUESTS_FAT_H
#include "lib/block.h"

enum fat_status {
    FAT_OK,
    FAT_END,        // there is no more
    FAT_NONE,       // the disk has no such volume
    FAT_UNREADABLE, // the disk refuses a sector
    FAT_BROKEN,     // a chain of clusters leaves the volume, comes back, or is too short
};

struct fat_volume {
    const struct block_device *device;
    uint32_t bits; // 12, 16 or 32: of an entry of the table
    uint32_t cluster_count, sectors_per_cluster;
    uint64_t table; // sectors of the disk: where each part begins
    uint64_t root, data;
    uint32_t root_sectors;  // of the root directory of FAT12 and FAT16
    uint32_t root_cluster;  // of that of FAT32
    uint64_t cached_sector; // which one of the table is in `cached`; 0: none
    uint8_t cached[BLOCK_SECTOR_BYTES];
};

// A place in a chain of clusters, or in the root directory that is none.
struct fat_cursor {
    uint32_t cluster;       // 0: in the root directory of FAT12 or FAT16
    uint32_t sector;        // within the cluster, or within that directory
    uint32_t clusters_left; // that a chain may still have
};

enum { FAT_NAME_BYTES = 3 * 255 + 1, FAT_LONG_LETTERS = 260 };

struct fat_entry {
    char name[FAT_NAME_BYTES]; // in UTF-8
    uint32_t first_cluster, byte_count;
    bool is_directory;
};

struct fat_directory {
    struct fat_volume *volume;
    struct fat_cursor cursor;
    uint32_t offset; // in `sector`; BLOCK_SECTOR_BYTES: it has been read to its end
    uint8_t sector[BLOCK_SECTOR_BYTES];
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

// The next sector of a file, of which the last may be shorter: how many bytes in `ret`.
void fat_file_begin(struct fat_file *file, struct fat_volume *volume,
                    const struct fat_entry *entry);
enum fat_status fat_file_next(struct fat_file *file, uint8_t to[BLOCK_SECTOR_BYTES], uint32_t *ret);

#endif
