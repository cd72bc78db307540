#ifndef MINIHV_DIRTY_H
#define MINIHV_DIRTY_H
#include "minihv/status.h"
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// What is to be collected from second-level tables.
struct mhv_harvest {
    uint64_t root; // bits 51:12 are the address of the first table
    uint64_t gpn;  // number of the first guest page, a multiple of 8
    uint64_t page_count;
    uint64_t mark;  // the bit: A (0x20) or D (0x40)
    uint8_t levels; // 4 or 5
};

// Whether it can be: else MHV_BAD_FLAGS, MHV_MISALIGNED or MHV_OUT_OF_REACH. A bitmap for what
// cannot be need not be made.
enum mhv_status mhv_harvest_check(const struct mhv_harvest *asked);

// Finds every page of the range whose leaf has the mark, sets its bit in `bitmap`, and takes the
// mark away. `bitmap` has a bit for each page, all zero, the first one in bit 0 of byte 0. `ret`:
// how many were found. A large leaf that reaches out of the range keeps its mark.
enum mhv_status mhv_harvest_marks(const struct mhv_ram *ram, const struct mhv_harvest *asked,
                                  uint8_t *bitmap, uint64_t *ret);

// Gives the leaf of guest page `gpn` in the tables at `root` the mark, A or D, as a walk does that
// touches or writes the page; the marks of tables stay. False: the page has no leaf.
bool mhv_mark_page(const struct mhv_ram *ram, uint64_t root, uint32_t levels, uint64_t gpn,
                   uint64_t mark);

#endif
