// System physical memory: anonymous shared pages, mapped twice.
//
// Stands for: the DIMMs of the machine.
// Simplified: no holes, no ROM, no MMIO below the top; memory starts at SPA 0.

#define _GNU_SOURCE
#include "minihv/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_SHIFT = 12, PAGE_BYTES = 4096 };

// A file descriptor of memory that has no name and no disk behind it, or -1.
static int nameless_memory(uint64_t byte_count)
{
#ifdef __linux__
    const int file = memfd_create("minihv", MFD_CLOEXEC);
#else
    char name[32];
    snprintf(name, sizeof name, "/minihv-%ld-%d", (long)getpid(), rand());
    const int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file >= 0)
        shm_unlink(name);
#endif
    if (file >= 0 && ftruncate(file, (off_t)byte_count) != 0) {
        close(file);
        return -1;
    }
    return file;
}

static uint8_t *map_shared(int file, uint64_t byte_count)
{
    void *at = mmap(NULL, (size_t)byte_count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return at == MAP_FAILED ? NULL : at;
}

struct mhv_memory *mhv_memory_create(uint64_t byte_count)
{
    struct mhv_memory *memory = calloc(1, sizeof *memory);
    const uint64_t frame_count = byte_count >> PAGE_SHIFT;
    const int file = nameless_memory(byte_count);

    if (memory && file >= 0) {
        memory->byte_count = byte_count;
        memory->bytes = map_shared(file, byte_count);
        memory->alias = map_shared(file, byte_count);
        memory->frame_flags = calloc((size_t)frame_count, sizeof *memory->frame_flags);
        memory->frame_flipped = calloc((size_t)frame_count, sizeof *memory->frame_flipped);
    }
    if (file >= 0)
        close(file);
    if (memory && memory->bytes && memory->alias && memory->frame_flags && memory->frame_flipped)
        return memory;
    mhv_memory_destroy(memory);
    return NULL;
}

void mhv_memory_destroy(struct mhv_memory *memory)
{
    if (!memory)
        return;
    if (memory->bytes)
        munmap(memory->bytes, (size_t)memory->byte_count);
    if (memory->alias)
        munmap(memory->alias, (size_t)memory->byte_count);
    free(memory->frame_flags);
    free(memory->frame_flipped);
    free(memory);
}

// A run that goes on where the last one ended is one with it: loaders write in order.
static void remember_written(struct mhv_memory *memory, uint64_t spa, uint64_t byte_count)
{
    const uint32_t count = memory->written_count;
    struct mhv_written *last = &memory->written[count == 0 ? 0 : count - 1];

    if (count > MHV_WRITTEN_COUNT)
        return;
    if (count > 0 && last->spa + last->byte_count == spa) {
        last->byte_count += byte_count;
        return;
    }
    memory->written_count++;
    if (count < MHV_WRITTEN_COUNT)
        memory->written[count] = (struct mhv_written){spa, byte_count};
}

void mhv_memory_mark(struct mhv_memory *memory, uint64_t spa, uint64_t byte_count)
{
    memory->write_count++;
    for (uint64_t frame = spa >> PAGE_SHIFT; frame <= (spa + byte_count - 1) >> PAGE_SHIFT;
         frame++) {
        uint8_t *flags = &memory->frame_flags[frame];
        if (*flags & MHV_FRAME_FETCHED && !(*flags & MHV_FRAME_STALE)) {
            *flags |= MHV_FRAME_STALE;
            memory->stale_count++;
        }
        *flags &= (uint8_t)~MHV_FRAME_SCANNED;
    }
}

bool mhv_memory_touch(struct mhv_memory *memory, uint64_t spa, uint64_t byte_count)
{
    if (spa > memory->byte_count || byte_count > memory->byte_count - spa)
        return false;
    if (byte_count == 0)
        return true;
    mhv_memory_mark(memory, spa, byte_count);
    remember_written(memory, spa, byte_count);
    return true;
}

bool mhv_memory_write(struct mhv_memory *memory, uint64_t spa, const uint8_t *source,
                      uint64_t byte_count)
{
    if (!mhv_memory_touch(memory, spa, byte_count))
        return false;
    memcpy(memory->bytes + spa, source, (size_t)byte_count);
    return true;
}
