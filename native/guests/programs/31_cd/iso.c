// Reads directories block by block: an entry never crosses the end of one.

#include "iso.h"
#include "lib/crc32.h"
#include "lib/memory.h"

enum { DESCRIPTORS = 16, MOST_DESCRIPTORS = 64, PRIMARY = 1, TERMINATOR = 255, ROOT_ENTRY = 156 };
enum entry_offset { EXTENT = 2, LENGTH = 10, FLAGS = 25, NAME_BYTES = 32, NAME = 33 };
enum { ENTRY_DIRECTORY = 2 };

static uint32_t number_at(const uint8_t *entry, uint32_t offset)
{
    uint32_t value;

    memcpy(&value, entry + offset, sizeof(value));
    return value;
}

static uint32_t blocks_of(uint32_t byte_count)
{
    return byte_count / CD_BLOCK_BYTES + (byte_count % CD_BLOCK_BYTES != 0);
}

static bool read_block(struct iso_directory *directory)
{
    if (directory->blocks_left == 0)
        return false;
    directory->blocks_left--;
    directory->offset = 0;
    return cd_read(directory->cd, directory->block++, directory->content, 1) == IDE_DONE;
}

bool iso_open(struct cd_drive *cd, struct iso_directory *directory)
{
    uint8_t *content = directory->content;

    for (uint32_t block = DESCRIPTORS; block < DESCRIPTORS + MOST_DESCRIPTORS; block++) {
        if (cd_read(cd, block, content, 1) != IDE_DONE || memcmp(content + 1, "CD001", 5) != 0 ||
            content[0] == TERMINATOR)
            return false;
        if (content[0] != PRIMARY)
            continue;
        directory->cd = cd;
        directory->block = number_at(content + ROOT_ENTRY, EXTENT);
        directory->blocks_left = blocks_of(number_at(content + ROOT_ENTRY, LENGTH));
        return read_block(directory);
    }
    return false;
}

static void take_name(struct iso_file *file, const uint8_t *entry)
{
    uint32_t length = 0;

    while (length < entry[NAME_BYTES] && length < ISO_NAME_BYTES - 1 &&
           entry[NAME + length] != ';') {
        file->name[length] = (char)entry[NAME + length];
        length++;
    }
    if (length > 0 && file->name[length - 1] == '.') // one without an extension
        length--;
    file->name[length] = '\0';
}

bool iso_next(struct iso_directory *directory, struct iso_file *file)
{
    for (;;) {
        const uint8_t *entry = directory->content + directory->offset;
        const uint32_t room = CD_BLOCK_BYTES - directory->offset;
        if (room <= NAME || entry[0] == 0) { // the rest of the block is empty
            if (!read_block(directory))
                return false;
            continue;
        }
        if (entry[0] <= NAME || entry[0] > room || entry[NAME_BYTES] > entry[0] - NAME)
            return false;
        directory->offset += entry[0];
        if (entry[NAME_BYTES] == 1 && entry[NAME] <= 1) // "." and ".."
            continue;
        take_name(file, entry);
        file->block = number_at(entry, EXTENT);
        file->byte_count = number_at(entry, LENGTH);
        file->is_directory = entry[FLAGS] & ENTRY_DIRECTORY;
        return true;
    }
}

bool iso_checksum(struct cd_drive *cd, const struct iso_file *file, uint32_t *ret)
{
    static uint8_t block[CD_BLOCK_BYTES];
    uint32_t checksum = 0, left = file->byte_count;

    for (uint32_t at = file->block; left > 0; at++) {
        const uint32_t size = left < CD_BLOCK_BYTES ? left : CD_BLOCK_BYTES;
        if (cd_read(cd, at, block, 1) != IDE_DONE)
            return false;
        checksum = crc32(checksum, block, size);
        left -= size;
    }
    *ret = checksum;
    return true;
}
