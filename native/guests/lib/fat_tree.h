// All entries of a volume, each directory before what is in it; and one entry by its path.
#ifndef GUESTS_FAT_TREE_H
#define GUESTS_FAT_TREE_H
#include "lib/fat.h"

enum { FAT_TREE_DEPTH = 16 };

struct fat_tree {
    struct fat_volume *volume;
    uint32_t depth; // of the directory that is being read: the root has 1; 0: all was seen
    struct fat_directory directories[FAT_TREE_DEPTH];
    struct fat_entry entries[FAT_TREE_DEPTH]; // the last one of each directory
};

void fat_tree_begin(struct fat_tree *tree, struct fat_volume *volume);

// FAT_OK: the next entry is entries[depth - 1], in the directories entries[0] to entries[depth -
// 2]. FAT_END: all was seen. A refusal: what is left of the directory with that entry cannot be
// read, or what is in that entry; go on with the others.
enum fat_status fat_tree_next(struct fat_tree *tree);

// The entry at `path`, whose parts have a slash between them; letters of ASCII match in either
// case.
enum fat_status fat_find(struct fat_volume *volume, const char *path, struct fat_entry *ret);

#endif
