// One page walk without Python around it: the shortest program that uses the core.
//
// What the walk must do in every case is tested from Python, against its twin (tests/twins).

#include "minihv/walk.h"

#include <stdlib.h>

#include "expect.h"

enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, PAGE = 0x5000, RAM_BYTES = 0x6000 };
enum { PRESENT = 0x1, WRITABLE = 0x2, ACCESSED = 0x20 };

static void store_u64(const struct mhv_ram *ram, uint64_t pa, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        ram->bytes[pa + i] = (uint8_t)(value >> 8 * i);
}

static struct mhv_walk_result walk_to(const struct mhv_ram *ram, uint64_t gva,
                                      enum mhv_access_kind kind)
{
    const struct mhv_paging paging = {.root = PML4, .levels = 4, .physical_bits = 40, .wp = true};
    const struct mhv_access access = {.kind = (uint8_t)kind};
    struct mhv_walk_result result;

    mhv_walk(ram, &paging, gva, access, &result);
    return result;
}

int main(void)
{
    struct mhv_ram ram = {.bytes = calloc(1, RAM_BYTES), .byte_count = RAM_BYTES};
    struct mhv_walk_result result;

    if (!ram.bytes)
        return 1;
    store_u64(&ram, PML4, PDPT | PRESENT | WRITABLE);
    store_u64(&ram, PDPT, PD | PRESENT | WRITABLE);
    store_u64(&ram, PD, PT | PRESENT | WRITABLE);
    store_u64(&ram, PT + 7 * 8, PAGE | PRESENT);

    result = walk_to(&ram, 0x7123, MHV_READ);
    expect_equal("outcome of a read", result.outcome, MHV_MAPPED);
    expect_equal("its physical address", result.gpa, PAGE + 0x123);
    expect_equal("its references", result.references, 4);
    expect_equal("its leaf", result.leaf_entry, PAGE | PRESENT | ACCESSED);

    result = walk_to(&ram, 0x7123, MHV_WRITE);
    expect_equal("outcome of a write", result.outcome, MHV_PAGE_FAULT);
    expect_equal("its error code", result.error_code, 0x3);
    expect_equal("its level", result.level, 1);

    free(ram.bytes);
    return report("walk");
}
