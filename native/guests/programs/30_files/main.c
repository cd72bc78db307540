// Reads the files of the disks that it finds, or prints one, whichever way their sectors come
// along.
//
// Its arguments: nothing, or the way that it shall take, and then nothing, or the path of a file.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/crc32.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "listing.h"
#include <stddef.h>

enum { ANY_WAY = 1 << BLOCK_IDE_DMA | 1 << BLOCK_SCSI }; // so that each disk is found once

static struct vp_area area;

// What follows `word` and a blank in `text`; NULL: it begins otherwise.
static const char *behind(const char *text, const char *word)
{
    while (*word != '\0')
        if (*text++ != *word++)
            return NULL;
    if (*text == '\0')
        return text;
    return *text == ' ' ? text + 1 : NULL;
}

// The ways that are asked for, a bit for each; `arguments` go on behind them.
static uint32_t take_ways(const char **arguments)
{
    for (uint32_t i = 0; i < BLOCK_WAYS; i++) {
        const char *rest = behind(*arguments, block_ways[i].word);
        if (rest != NULL) {
            *arguments = rest;
            return 1U << i;
        }
    }
    return ANY_WAY;
}

// How many disks there are.
static uint32_t use_way(const struct block_way *way, const char *path)
{
    struct block_device device;
    uint32_t count = 0;

    for (uint32_t number = 0; number < BLOCK_DISKS; number++) {
        if (way->open(&device, number)) {
            count++;
            print(way->name);
            print(": ");
            tell_of_disk(&device, path);
            block_close(&device);
        } else if (!way->has_gaps) {
            break;
        }
    }
    return count;
}

void guest_main(const struct boot_info *info)
{
    const char *path = info->arguments;
    const uint32_t ways = take_ways(&path);
    uint32_t count = 0;

    descriptors_install(&area);
    expect_equal("CRC-32 of the nine digits", crc32(0, "123456789", 9), 0xCBF43926);
    for (uint32_t i = 0; i < BLOCK_WAYS; i++)
        if (ways >> i & 1)
            count += use_way(&block_ways[i], path);
    if (count == 0)
        print("There is no disk. Give one with --disk FILE or --disk FILE:scsi.\n");
}
