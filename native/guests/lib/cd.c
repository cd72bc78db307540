// Speaks to CD drives: a packet goes out, and its answer comes in as many turns as the drive likes.

#include "lib/cd.h"
#include "lib/cpu.h"

enum port_offset { DATA = 0, FEATURES = 1, COUNT_LOW = 4, COUNT_HIGH = 5, DEVICE = 6, STATUS = 7 };
enum command { DEVICE_RESET = 0x08, PACKET = 0xA0 };
enum packet { TEST_UNIT_READY = 0x00, READ_CAPACITY = 0x25, READ_10 = 0x28, PACKET_BYTES = 12 };
enum { DEVICE_0 = 0xA0, DEVICE_1 = 0xB0, SIGNATURE_LOW = 0x14, SIGNATURE_HIGH = 0xEB };
enum { TURN_BYTES = 0x8000, ATTENTION = 6, MOST_ATTENTIONS = 4 };

struct answer {
    uint8_t *to;
    uint32_t room; // more than that is read and lost
};

// Words of a turn: as many bytes as the drive says, of which the last may have no partner.
static void take_turn(uint16_t ports, struct answer *answer)
{
    uint32_t left = inb(ports + COUNT_LOW) | (uint32_t)inb(ports + COUNT_HIGH) << 8;

    while (left > 0) {
        const uint16_t word = inw(ports + DATA);
        for (uint32_t at = 0; at < 2 && left > 0; at++, left--) {
            if (answer->room == 0)
                continue;
            *answer->to++ = (uint8_t)(word >> 8 * at);
            answer->room--;
        }
    }
}

static enum ide_status packet(struct cd_drive *cd, const uint8_t *bytes, struct answer answer)
{
    struct ide_disk *drive = &cd->drive;
    enum ide_status status;

    outb(drive->ports + DEVICE, drive->device);
    outb(drive->ports + FEATURES, 0);
    outb(drive->ports + COUNT_LOW, TURN_BYTES & 0xFF);
    outb(drive->ports + COUNT_HIGH, TURN_BYTES >> 8);
    ide_command(drive, PACKET);
    status = ide_await(drive, IDE_STATUS_DRQ);
    for (uint32_t at = 0; status == IDE_DONE && at < PACKET_BYTES; at += 2)
        outw(drive->ports + DATA, (uint16_t)(bytes[at] | bytes[at + 1] << 8));
    if (status == IDE_DONE)
        status = ide_await(drive, 0);
    while (status == IDE_DONE && inb(drive->ports + STATUS) & IDE_STATUS_DRQ) {
        take_turn(drive->ports, &answer);
        status = ide_await(drive, 0);
    }
    cd->sense_key = status == IDE_FAILED ? drive->error >> 4 : 0;
    return status;
}

// A drive that was reset says so, once, before it does anything.
static enum ide_status get_ready(struct cd_drive *cd)
{
    static const uint8_t ready[PACKET_BYTES] = {TEST_UNIT_READY};
    enum ide_status status = IDE_FAILED;

    for (uint32_t tries = 0; tries < MOST_ATTENTIONS && status == IDE_FAILED; tries++) {
        status = packet(cd, ready, (struct answer){NULL, 0});
        if (status == IDE_FAILED && cd->sense_key != ATTENTION)
            break;
    }
    return status;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

enum ide_status cd_find(struct cd_drive *cd, uint32_t number)
{
    static const uint8_t capacity[PACKET_BYTES] = {READ_CAPACITY};
    uint8_t answer[8] = {0};
    enum ide_status status;

    *cd = (struct cd_drive){.drive = {.ports = number < 2 ? 0x1F0 : 0x170,
                                      .control = number < 2 ? 0x3F6 : 0x376,
                                      .device = number & 1 ? DEVICE_1 : DEVICE_0}};
    outb(cd->drive.ports + DEVICE, cd->drive.device);
    ide_command(&cd->drive, DEVICE_RESET);
    if (inb(cd->drive.ports + COUNT_LOW) != SIGNATURE_LOW ||
        inb(cd->drive.ports + COUNT_HIGH) != SIGNATURE_HIGH)
        return IDE_NO_DISK;
    status = get_ready(cd);
    if (status == IDE_DONE)
        status = packet(cd, capacity, (struct answer){answer, sizeof(answer)});
    cd->block_count = status == IDE_DONE ? big_endian(answer) + 1 : 0;
    return status;
}

enum ide_status cd_read(struct cd_drive *cd, uint32_t block, void *to, uint32_t count)
{
    const uint8_t read[PACKET_BYTES] = {
        READ_10,        0, (uint8_t)(block >> 24), (uint8_t)(block >> 16), (uint8_t)(block >> 8),
        (uint8_t)block, 0, (uint8_t)(count >> 8),  (uint8_t)count,
    };
    return packet(cd, read, (struct answer){to, count * CD_BLOCK_BYTES});
}
