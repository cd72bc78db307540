// Goes down into each directory as soon as it was told of.

#include "lib/fat_tree.h"
#include <stddef.h>

void fat_tree_begin(struct fat_tree *tree, struct fat_volume *volume)
{
    tree->volume = volume;
    tree->depth = 1;
    tree->entries[0].is_directory = false;
    volume->clusters_left = volume->cluster_count;
    fat_begin(&tree->directories[0], volume, NULL);
}

// Whether one of the directories that are being read begins where this entry does.
static bool is_within_itself(const struct fat_tree *tree, const struct fat_entry *entry)
{
    for (uint32_t i = 0; i < tree->depth; i++)
        if (tree->directories[i].cursor.first == entry->first_cluster)
            return true;
    return false;
}

// The entry that was told last is a directory: the next ones are in it.
static enum fat_status go_down(struct fat_tree *tree)
{
    struct fat_entry *entry = &tree->entries[tree->depth - 1];

    if (!entry->is_directory)
        return FAT_OK;
    entry->is_directory = false; // whatever comes of it, it is not tried again
    if (entry->first_cluster == 0)
        return FAT_NO_CLUSTER;
    if (is_within_itself(tree, entry))
        return FAT_DIRECTORY_LOOP;
    if (tree->depth == FAT_TREE_DEPTH)
        return FAT_TOO_DEEP;
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
    if (status != FAT_OK)
        return status;
    while (tree->depth > 0) {
        const uint32_t level = tree->depth - 1;
        status = fat_next(&tree->directories[level], &tree->entries[level]);
        if (status == FAT_OK)
            return FAT_OK;
        tree->depth--;
        if (status != FAT_END)
            return status;
    }
    return FAT_END;
}

static char lower(char letter)
{
    return (char)(letter >= 'A' && letter <= 'Z' ? letter + 'a' - 'A' : letter);
}

// What follows the first part of `path`, if that is `name`; else NULL.
static const char *behind(const char *path, const char *name)
{
    for (; *name != '\0'; name++, path++)
        if (lower(*path) != lower(*name))
            return NULL;
    if (*path == '/')
        return path + 1;
    return *path == '\0' ? path : NULL;
}

enum fat_status fat_find(struct fat_volume *volume, const char *path, struct fat_entry *ret)
{
    static struct fat_directory directory;

    volume->clusters_left = volume->cluster_count;
    fat_begin(&directory, volume, NULL);
    for (;;) {
        const enum fat_status status = fat_next(&directory, ret);
        if (status != FAT_OK)
            return status == FAT_END ? FAT_NOT_FOUND : status;
        const char *rest = behind(path, ret->name);
        if (rest == NULL)
            continue;
        if (*rest == '\0')
            return FAT_OK;
        if (!ret->is_directory)
            return FAT_NOT_FOUND;
        path = rest;
        fat_begin(&directory, volume, ret);
    }
}
