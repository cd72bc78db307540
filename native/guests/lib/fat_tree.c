// Goes down into each directory as soon as it was told of.

#include "lib/fat_tree.h"
#include <stddef.h>

void fat_tree_begin(struct fat_tree *tree, struct fat_volume *volume)
{
    tree->volume = volume;
    tree->depth = 1;
    tree->entries_left = FAT_TREE_ENTRIES;
    tree->entries[0].is_directory = false;
    fat_begin(&tree->directories[0], volume, NULL);
}

// The entry that was told last is a directory: the next ones are in it.
static enum fat_status go_down(struct fat_tree *tree)
{
    struct fat_entry *entry = &tree->entries[tree->depth - 1];

    if (!entry->is_directory)
        return FAT_OK;
    if (tree->depth == FAT_TREE_DEPTH) {
        entry->is_directory = false;
        return FAT_BROKEN;
    }
    fat_begin(&tree->directories[tree->depth], tree->volume, entry);
    tree->entries[tree->depth].is_directory = false;
    tree->depth++;
    return FAT_OK;
}

enum fat_status fat_tree_next(struct fat_tree *tree)
{
    if (tree->depth == 0)
        return FAT_END;
    enum fat_status status = go_down(tree);
    while (status == FAT_OK && tree->depth > 0) {
        status = fat_next(&tree->directories[tree->depth - 1], &tree->entries[tree->depth - 1]);
        if (status == FAT_OK)
            break;
        tree->depth--;
        if (tree->depth > 0)
            tree->entries[tree->depth - 1].is_directory = false;
        status = status == FAT_END ? FAT_OK : status;
    }
    if (tree->depth == 0)
        return status == FAT_OK ? FAT_END : status;
    if (tree->entries_left == 0) {
        tree->depth = 0;
        return FAT_BROKEN;
    }
    tree->entries_left--;
    return status;
}
