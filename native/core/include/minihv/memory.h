#ifndef MINIHV_MEMORY_H
#define MINIHV_MEMORY_H
#include <stdbool.h>
#include <stdint.h>

// What the machine knows of a 4 KiB frame besides its bytes.
enum mhv_frame_flag {
    MHV_FRAME_FETCHED = 1,  // the engine may hold translated blocks of this frame
    MHV_FRAME_WRITABLE = 2, // the engine's TLB may hold a fast writable entry for it
    MHV_FRAME_SCANNED = 4,  // the guard has read it since it was last writable
    MHV_FRAME_SUSPECT = 8,  // and found code that must not be translated in long blocks
    MHV_FRAME_STALE = 16,   // written by the host while translated: drop its blocks before running
};

enum { MHV_WRITTEN_COUNT = 32 };

// A run of bytes that somebody else than a guest's instruction wrote.
struct mhv_written {
    uint64_t spa;
    uint64_t byte_count;
};

// System physical memory: one run of bytes, seen through two host mappings.
//
// `bytes` is what everybody reads and writes. `alias` shows the same bytes at another host address:
// the engine files translated blocks under it, so that a store knows them (see fill.c).
struct mhv_memory {
    uint8_t *bytes;
    uint8_t *alias;
    uint64_t byte_count;
    uint8_t *frame_flags;           // one of mhv_frame_flag's sets for each frame
    uint32_t *frame_flipped;        // the epoch in which the frame last lost its translated blocks
    uint32_t stale_count;           // frames with MHV_FRAME_STALE
    uint64_t write_count;           // writes through the door so far
    uint32_t written_count;         // of them in `written`; one more than it holds: it lost some
    struct mhv_written written[32]; // what shadow tables have not heard of yet
};

// `byte_count` is a multiple of 4096. NULL when the system has not that much to give.
struct mhv_memory *mhv_memory_create(uint64_t byte_count);
void mhv_memory_destroy(struct mhv_memory *memory);

// The one door for writes that no guest instruction makes: a loader's, a device's, the processor's
// own. False, and nothing is written, when the range does not lie in memory.
bool mhv_memory_write(struct mhv_memory *memory, uint64_t spa, const uint8_t *source,
                      uint64_t byte_count);

// A write of which shadow tables know already. It does lie in memory.
void mhv_memory_mark(struct mhv_memory *memory, uint64_t spa, uint64_t byte_count);

// As mhv_memory_write, for a write that went past the door, through a view of `bytes`: it marks the
// frames.
bool mhv_memory_touch(struct mhv_memory *memory, uint64_t spa, uint64_t byte_count);

#endif
