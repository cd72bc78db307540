// Speaks to IDE disks word by word.

#include "lib/ide.h"
#include "lib/cpu.h"

enum port_offset { DATA = 0, ERROR = 1, COUNT = 2, LBA_LOW = 3, LBA_MID, LBA_HIGH, DEVICE, STATUS };
enum { COMMAND = STATUS };
enum status_bit { STATUS_ERR = 1, STATUS_DF = 0x20, STATUS_DRDY = 0x40, STATUS_BSY = 0x80 };
enum command { READ_EXT = 0x24, WRITE_EXT = 0x34, FLUSH_EXT = 0xEA, IDENTIFY = 0xEC };
enum { DEVICE_LBA = 0xE0, DEVICE_1 = 0x10, FLOATING = 0xFF, PATIENCE = 100000, WORDS = 256 };
enum identity_word {
    MODEL = 27,
    MODEL_WORDS = 20,
    SECTORS_28 = 60,
    FEATURES_83 = 83,
    SECTORS_48 = 100
};

enum ide_status ide_await(struct ide_disk *disk, uint8_t wanted)
{
    for (uint32_t tries = 0; tries < PATIENCE; tries++) {
        const uint8_t status = inb(disk->ports + STATUS);
        if (status & STATUS_BSY)
            continue;
        if (status & (STATUS_ERR | STATUS_DF)) {
            disk->error = inb(disk->ports + ERROR);
            return IDE_FAILED;
        }
        if ((status & wanted) == wanted)
            return IDE_DONE;
    }
    return IDE_STUCK;
}

void ide_put_address(const struct ide_disk *disk, uint64_t sector, uint32_t count)
{
    const uint16_t ports = disk->ports;

    outb(ports + COUNT, (uint8_t)(count >> 8));
    outb(ports + LBA_LOW, (uint8_t)(sector >> 24));
    outb(ports + LBA_MID, (uint8_t)(sector >> 32));
    outb(ports + LBA_HIGH, (uint8_t)(sector >> 40));
    outb(ports + COUNT, (uint8_t)count);
    outb(ports + LBA_LOW, (uint8_t)sector);
    outb(ports + LBA_MID, (uint8_t)(sector >> 8));
    outb(ports + LBA_HIGH, (uint8_t)(sector >> 16));
}

void ide_command(const struct ide_disk *disk, uint8_t number)
{
    outb(disk->ports + DEVICE, disk->device);
    outb(disk->ports + COMMAND, number);
}

static void take_model(struct ide_disk *disk, const uint16_t *words)
{
    for (uint32_t i = 0; i < MODEL_WORDS; i++) {
        disk->model[2 * i] = (char)(words[MODEL + i] >> 8);
        disk->model[2 * i + 1] = (char)words[MODEL + i];
    }
    uint32_t end = 2 * MODEL_WORDS;
    while (end > 0 && disk->model[end - 1] == ' ')
        end--;
    disk->model[end] = '\0';
}

static uint64_t sectors_of(const uint16_t *words)
{
    uint64_t count = 0;

    if (!(words[FEATURES_83] >> 10 & 1))
        return words[SECTORS_28] | (uint64_t)words[SECTORS_28 + 1] << 16;
    for (uint32_t i = 4; i-- > 0;)
        count = count << 16 | words[SECTORS_48 + i];
    return count;
}

enum ide_status ide_find(struct ide_disk *disk, uint32_t number)
{
    uint16_t words[WORDS];

    *disk = (struct ide_disk){.ports = number < 2 ? 0x1F0 : 0x170,
                              .control = number < 2 ? 0x3F6 : 0x376,
                              .device = DEVICE_LBA | (number & 1 ? DEVICE_1 : 0)};
    outb(disk->ports + DEVICE, disk->device);
    const uint8_t status = inb(disk->ports + STATUS);
    if (status == FLOATING || !(status & STATUS_DRDY))
        return IDE_NO_DISK;
    ide_command(disk, IDENTIFY);
    const enum ide_status found = ide_await(disk, IDE_STATUS_DRQ);
    if (found != IDE_DONE)
        return found;
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = inw(disk->ports + DATA);
    take_model(disk, words);
    disk->sector_count = sectors_of(words);
    return IDE_DONE;
}

enum ide_status ide_read(struct ide_disk *disk, uint64_t sector, void *to, uint32_t count)
{
    uint16_t *words = to;

    ide_put_address(disk, sector, count);
    ide_command(disk, READ_EXT);
    for (uint32_t done = 0; done < count; done++) {
        const enum ide_status status = ide_await(disk, IDE_STATUS_DRQ);
        if (status != IDE_DONE)
            return status;
        for (uint32_t i = 0; i < WORDS; i++)
            *words++ = inw(disk->ports + DATA);
    }
    return IDE_DONE;
}

enum ide_status ide_write(struct ide_disk *disk, uint64_t sector, const void *from, uint32_t count)
{
    const uint16_t *words = from;

    ide_put_address(disk, sector, count);
    ide_command(disk, WRITE_EXT);
    for (uint32_t done = 0; done < count; done++) {
        const enum ide_status status = ide_await(disk, IDE_STATUS_DRQ);
        if (status != IDE_DONE)
            return status;
        for (uint32_t i = 0; i < WORDS; i++)
            outw(disk->ports + DATA, *words++);
    }
    return ide_await(disk, 0);
}

enum ide_status ide_flush(struct ide_disk *disk)
{
    ide_command(disk, FLUSH_EXT);
    return ide_await(disk, 0);
}
