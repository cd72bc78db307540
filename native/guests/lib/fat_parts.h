// What the files of the FAT reader share. A program includes lib/fat.h and not this.
#ifndef GUESTS_FAT_PARTS_H
#define GUESTS_FAT_PARTS_H
#include "lib/fat.h"

enum { FAT_FIRST_CLUSTER = 2 };

// The little-endian number of so many bytes, at most four.
uint32_t fat_number(const uint8_t *from, uint32_t byte_count);

enum fat_status fat_read_sector(const struct fat_volume *volume, uint64_t sector, void *to);

#endif
