// The names of directory entries: eleven letters, or a long name in the entries before.
//
// Spec: Microsoft, "FAT: General Overview of On-Disk Format", "FAT Long Directory Entries".
#ifndef GUESTS_FAT_NAMES_H
#define GUESTS_FAT_NAMES_H
#include "lib/fat.h"

// `raw` is one part of a long name; the last part comes first.
void fat_long_part(struct fat_directory *directory, const uint8_t *raw);

// The name of the entry `raw`: the long one, if all its parts were before it and are its own.
void fat_name(const struct fat_directory *directory, const uint8_t *raw, char name[FAT_NAME_BYTES]);

#endif
