// Disks behind the IDE channels at their old ports, by programmed I/O: each word is an instruction.
//
// Spec: INCITS, "ATA/ATAPI-7 Volume 2", "PIO data-in command protocol" and "PIO data-out command
// protocol". The driver polls; no interrupt is used.
#ifndef GUESTS_IDE_H
#define GUESTS_IDE_H
#include <stdbool.h>
#include <stdint.h>

enum { IDE_SECTOR_BYTES = 512, IDE_DISKS = 4 };

enum ide_status {
    IDE_DONE,
    IDE_NO_DISK,
    IDE_FAILED,    // `error` of the disk says why
    IDE_STUCK,     // it did not answer for a long time
    IDE_NO_MEMORY, // memory that DMA cannot reach
};

struct ide_disk {
    uint16_t ports, control; // the first port of each block
    uint8_t device;          // what selects it
    uint8_t error;           // the error register, behind IDE_FAILED
    uint64_t sector_count;
    char model[41];
};

// Disk `number`, 0 to 3: two on each channel. IDE_DONE: it is there, and `disk` describes it.
enum ide_status ide_find(struct ide_disk *disk, uint32_t number);

// `count` sectors, 1 to 65536, from `sector` on.
enum ide_status ide_read(struct ide_disk *disk, uint64_t sector, void *to, uint32_t count);
enum ide_status ide_write(struct ide_disk *disk, uint64_t sector, const void *from, uint32_t count);

// What was written outlives the machine.
enum ide_status ide_flush(struct ide_disk *disk);

// What every way of moving data begins and ends with: the address, the command, and a disk that is
// not busy and wants `wanted` (a bit of its status, or nothing).
enum { IDE_STATUS_DRQ = 8 };
void ide_put_address(const struct ide_disk *disk, uint64_t sector, uint32_t count);
void ide_command(const struct ide_disk *disk, uint8_t number);
enum ide_status ide_await(struct ide_disk *disk, uint8_t wanted);

#endif
