// What guest 30 tells of a disk, told on the host: for tests that have many disks.
//
//   files_on_host IMAGE PATH [OFFSET:BYTE]...
//
// The image is in a file of which some bytes are changed before; an empty path lists it. The last
// line says how many sectors were read.

#include "lib/console.h"
#include "lib/expect.h"
#define _GNU_SOURCE
#include "programs/30_files/listing.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { SECTOR_BYTES = 512 };

static uint8_t *content;
static unsigned long read_count;

void print(const char *text)
{
    fputs(text, stdout);
}

void print_decimal(uint64_t value)
{
    printf("%llu", (unsigned long long)value);
}

void print_hex(uint64_t value)
{
    printf("0x%llx", (unsigned long long)value);
}

bool expect_begin(const char *name, bool holds)
{
    printf("%s%s", holds ? "ok      " : "FAILED  ", name);
    return holds;
}

static bool move(void *disk, const struct block_piece *pieces, uint32_t count, bool writes)
{
    const struct block_device *device = disk;

    if (writes)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].sector + pieces[i].count > device->sector_count)
            abort(); // a reader asks for no sector that is not there
        memcpy(pieces[i].memory, content + pieces[i].sector * SECTOR_BYTES,
               (size_t)pieces[i].count * SECTOR_BYTES);
        read_count += pieces[i].count;
    }
    return true;
}

static void change(const char *what, uint64_t byte_count)
{
    char *colon;
    const unsigned long offset = strtoul(what, &colon, 10);

    if (*colon == ':' && offset < byte_count)
        content[offset] = (uint8_t)strtoul(colon + 1, NULL, 10);
}

int main(int count, char **arguments)
{
    struct block_device device = {.sector_bytes = SECTOR_BYTES, .move = move, .disk = &device};
    struct stat about;

    const int file = count < 3 ? -1 : open(arguments[1], O_RDONLY);
    if (file < 0 || fstat(file, &about) != 0)
        return 2;
    const uint64_t byte_count = (uint64_t)about.st_size;
    content = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (content == MAP_FAILED)
        return 2;
    for (int i = 3; i < count; i++)
        change(arguments[i], byte_count);
    device.sector_count = byte_count / SECTOR_BYTES;
    tell_of_disk(&device, arguments[2]);
    printf("%lu sectors were read\n", read_count);
    return 0;
}
