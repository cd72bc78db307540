// All entries of a volume: each directory, and then what is in it.
#ifndef GUESTS_FAT_TREE_H
#define GUESTS_FAT_TREE_H
#include "lib/fat.h"

enum { FAT_TREE_DEPTH = 12, FAT_TREE_ENTRIES = 20000 };

struct fat_tree {
    struct fat_volume *volume;
    uint32_t depth; // of the directory that is being read: the root has 1; 0: all was seen
    uint32_t entries_left;
    struct fat_directory directories[FAT_TREE_DEPTH];
    struct fat_entry entries[FAT_TREE_DEPTH]; // the last one of each directory
};

void fat_tree_begin(struct fat_tree *tree, struct fat_volume *volume);

// FAT_OK: the next entry is entries[depth - 1], in the directories entries[0] to entries[depth -
// 2]. FAT_BROKEN: what is left of a directory cannot be read, or directories are too many or too
// deep, as where one is in itself. Go on until FAT_END.
enum fat_status fat_tree_next(struct fat_tree *tree);

#endif
