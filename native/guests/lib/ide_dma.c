// Gives the controller a table of memory regions, and the disk a command.

#include "lib/ide_dma.h"
#include "lib/cpu.h"
#include "lib/pci.h"

enum { IDE_CLASS = 0x0101, SECONDARY = 8, REGION_BYTES = 0x10000, PATIENCE = 100000 };
enum { MOST_REGIONS = 1024 }; // 32 MiB, begun anywhere, touch 513 times 64 KiB
enum engine_register { ENGINE_COMMAND = 0, ENGINE_STATUS = 2, ENGINE_TABLE = 4 };
enum engine_command { START = 1, TO_MEMORY = 8 };
enum engine_status { ACTIVE = 1, ERROR = 2, INTERRUPT = 4 };
enum command { READ_DMA_EXT = 0x25, WRITE_DMA_EXT = 0x35 };

struct region {
    uint32_t base;
    uint16_t bytes, flags; // no bytes stand for 64 KiB
};
enum { LAST_REGION = 0x8000 };

static struct region table[MOST_REGIONS]
    __attribute__((aligned(sizeof(struct region) * MOST_REGIONS)));

uint16_t ide_dma_find(void)
{
    struct pci_function at;

    if (!pci_find(IDE_CLASS, &at))
        return 0;
    pci_write(at, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    return (uint16_t)(pci_read(at, PCI_BAR4) & 0xFFF0);
}

// No region crosses a multiple of 64 KiB.
static void describe(const void *memory, uint32_t bytes)
{
    uint32_t base = (uint32_t)(uint64_t)memory;
    struct region *region = table;

    while (bytes > 0) {
        const uint32_t room = REGION_BYTES - base % REGION_BYTES;
        const uint32_t part = bytes < room ? bytes : room;
        *region++ = (struct region){base, (uint16_t)part, part == bytes ? LAST_REGION : 0};
        base += part;
        bytes -= part;
    }
}

static enum ide_status await_engine(uint16_t engine)
{
    for (uint32_t tries = 0; tries < PATIENCE; tries++) {
        const uint8_t status = inb(engine + ENGINE_STATUS);
        if (status & ERROR)
            return IDE_NO_MEMORY;
        if (status & INTERRUPT)
            return IDE_DONE;
    }
    return IDE_STUCK;
}

static enum ide_status move(uint16_t block, struct ide_disk *disk, uint8_t number,
                            uint8_t direction)
{
    const uint16_t engine = disk->ports == 0x1F0 ? block : block + SECONDARY;

    outl(engine + ENGINE_TABLE, (uint32_t)(uint64_t)table);
    outb(engine + ENGINE_STATUS, ERROR | INTERRUPT); // what it said before
    ide_command(disk, number);
    outb(engine + ENGINE_COMMAND, START | direction);
    const enum ide_status moved = await_engine(engine);
    outb(engine + ENGINE_COMMAND, direction);
    const enum ide_status done = ide_await(disk, 0);
    return done == IDE_DONE ? moved : done;
}

enum ide_status ide_dma_read(uint16_t block, struct ide_disk *disk, uint64_t sector, void *to,
                             uint32_t count)
{
    describe(to, count * IDE_SECTOR_BYTES);
    ide_put_address(disk, sector, count);
    return move(block, disk, READ_DMA_EXT, TO_MEMORY);
}

enum ide_status ide_dma_write(uint16_t block, struct ide_disk *disk, uint64_t sector,
                              const void *from, uint32_t count)
{
    describe(from, count * IDE_SECTOR_BYTES);
    ide_put_address(disk, sector, count);
    return move(block, disk, WRITE_DMA_EXT, 0);
}
