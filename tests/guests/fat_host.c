// The FAT reader of the guests on the host: lists a volume in a file whose bytes were changed.
//
// fat_host FILE [OFFSET:BYTE]...: what every call came to, then how many sectors were read.

#include "lib/crc32.h"
#include "lib/fat_tree.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *const names[] = {"ok", "end", "none", "unreadable", "broken"};
static uint8_t *content;
static unsigned long read_count;

static bool read_sector(void *disk, uint64_t sector, void *to, uint32_t count)
{
    (void)disk;
    read_count += count;
    __builtin_memcpy(to, content + sector * BLOCK_SECTOR_BYTES, (size_t)count * BLOCK_SECTOR_BYTES);
    return true;
}

static void list_file(struct fat_volume *volume, const struct fat_entry *entry)
{
    uint8_t sector[BLOCK_SECTOR_BYTES];
    uint32_t size, checksum = 0;
    enum fat_status status;
    struct fat_file file;

    fat_file_begin(&file, volume, entry);
    while ((status = fat_file_next(&file, sector, &size)) == FAT_OK)
        checksum = crc32(checksum, sector, size);
    printf(": %u %s %08x\n", entry->byte_count, names[status], checksum);
}

int main(int count, char **arguments)
{
    static struct fat_volume volume;
    static struct fat_tree tree;
    const int file = open(arguments[1], O_RDONLY);
    struct stat about;
    enum fat_status status;

    if (file < 0 || fstat(file, &about) != 0)
        return 1;
    content = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    for (int i = 2; i < count; i++) {
        char *colon;
        const unsigned long offset = strtoul(arguments[i], &colon, 10);
        content[offset] = (uint8_t)strtoul(colon + 1, NULL, 10);
    }
    const struct block_device device = {
        "host", (uint64_t)about.st_size / BLOCK_SECTOR_BYTES, read_sector, NULL};
    status = fat_open(&volume, &device);
    printf("open %s %u\n", names[status], volume.bits);
    if (status == FAT_OK) {
        fat_tree_begin(&tree, &volume);
        while ((status = fat_tree_next(&tree)) != FAT_END) {
            if (status != FAT_OK) {
                printf("walk %s\n", names[status]);
                continue;
            }
            for (uint32_t i = 0; i < tree.depth; i++)
                printf("%s%s", i ? "/" : "", tree.entries[i].name);
            if (tree.entries[tree.depth - 1].is_directory)
                puts("/");
            else
                list_file(&volume, &tree.entries[tree.depth - 1]);
        }
    }
    printf("reads %lu\n", read_count);
    return 0;
}
