// CD drives behind the IDE channels: commands are packets, and blocks have 2048 bytes.
//
// Spec: INCITS, "ATA/ATAPI-7 Volume 2", "PACKET command protocol"; "SCSI Multimedia Commands - 5
// (MMC-5)", "READ (10)" and "READ CAPACITY". The driver polls, and moves data word by word.
#ifndef GUESTS_CD_H
#define GUESTS_CD_H
#include "lib/ide.h"
#include <stddef.h>

enum { CD_BLOCK_BYTES = 2048 };

struct cd_drive {
    struct ide_disk drive;
    uint8_t sense_key; // behind IDE_FAILED
    uint32_t block_count;
};

// Drive `number`, 0 to 3: two on each channel. IDE_NO_DISK: there is none, or it is a disk's.
enum ide_status cd_find(struct cd_drive *cd, uint32_t number);

// `count` blocks from `block` on.
enum ide_status cd_read(struct cd_drive *cd, uint32_t block, void *to, uint32_t count);

#endif
