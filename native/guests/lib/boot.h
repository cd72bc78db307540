// What a guest finds when it enters: the boot contract.
//
// Every VP enters at the image's entry point in 64-bit mode, ring 0, with interrupts off and all of
// RAM identity-mapped by 2 MiB pages. RDI holds the GPA of the info page, ESI the index of the VP,
// RSP the top of its own 16 KiB stack; the other registers are 0.
#ifndef GUESTS_BOOT_H
#define GUESTS_BOOT_H
#include <stdint.h>

static const uint64_t BOOT_MAGIC = 0x01005648494E494D; // in memory: "MINIHV", 0, 1

struct boot_info {
    uint64_t magic;
    uint32_t version; // 1
    uint32_t vp_count;
    uint64_t memory_bytes; // RAM is at GPA 0 up to here
    uint64_t image_end;    // the first page after the image; from here on RAM is free
    uint64_t root_table;   // what CR3 holds
    uint32_t paging_levels;
    uint32_t zero;
    char arguments[4096 - 48]; // of `minihv run --append`; a zero is behind them
};

// What VP 0 of a program does. When it returns, the partition is shut down: finish().
void guest_main(const struct boot_info *info);

// What every other VP does; when it returns, that VP halts. A program need not define it.
void other_vp_main(const struct boot_info *info, uint32_t vp_index);

#endif
