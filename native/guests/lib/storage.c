// Opens a controller, and finds, reads and writes its disks. How requests travel is in
// lib/storage_requests.c.

#include "lib/storage.h"
#include "lib/memory.h"
#include "lib/storage_packet.h"
#include <stddef.h>

enum command {
    INQUIRY = 0x12,
    SYNCHRONIZE_CACHE = 0x35,
    READ_16 = 0x88,
    WRITE_16 = 0x8A,
    SERVICE_ACTION_IN = 0x9E,
    REPORT_LUNS = 0xA0,
};
enum { VITAL = 1, SERIAL_PAGE = 0x80, PAGE_HEADER_BYTES = 4 };
enum { READ_CAPACITY_16 = 0x10, NOBODY = 0x7F, PRODUCT = 16, PRODUCT_BYTES = 16 };
enum { LIST_HEADER_BYTES = 8, LIST_ENTRY_BYTES = 8 };
enum { UNIT_ATTENTION = 6, PATIENCE = 8 };

static const uint16_t VERSIONS[] = {0x0602, 0x0600, 0x0501, 0x0402};

// Asks, and waits for the answer, which is in `packet` then.
static enum storage_status ask(struct storage *storage, struct storage_packet *packet,
                               uint32_t operation)
{
    packet->operation = operation;
    packet->flags = STORAGE_WANTS_COMPLETION;
    return storage_exchange(storage, packet);
}

static enum storage_status agree_on_version(struct storage *storage)
{
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        struct storage_packet packet = {.version = {VERSIONS[i], 0}};
        const enum storage_status status = ask(storage, &packet, STORAGE_QUERY_VERSION);
        if (status != STORAGE_REFUSED) {
            storage->version = VERSIONS[i];
            return status;
        }
    }
    return STORAGE_REFUSED;
}

static enum storage_status come_to_terms(struct storage *storage)
{
    struct storage_packet begin = {.status = 0}, properties = begin, end = begin;

    enum storage_status status = ask(storage, &begin, STORAGE_BEGIN);
    if (status == STORAGE_DONE)
        status = agree_on_version(storage);
    if (status == STORAGE_DONE)
        status = ask(storage, &properties, STORAGE_QUERY_PROPERTIES);
    storage->most_transfer_bytes = properties.properties.most_transfer_bytes;
    storage->most_sub_channels = properties.properties.most_sub_channels;
    return status == STORAGE_DONE ? ask(storage, &end, STORAGE_END) : status;
}

enum storage_status storage_open(struct storage *storage, const struct vmbus_offer *offer,
                                 struct vmbus_rings rings)
{
    *storage = (struct storage){.version = 0};
    if (vmbus_open(&storage->channel, offer, rings) != VMBUS_OK)
        return STORAGE_BROKEN;
    const enum storage_status status = come_to_terms(storage);
    if (status != STORAGE_DONE)
        storage_close(storage);
    return status;
}

enum storage_status storage_close(struct storage *storage)
{
    return vmbus_close(&storage->channel) == VMBUS_OK ? STORAGE_DONE : STORAGE_BROKEN;
}

static void put_big_endian(uint8_t *to, uint64_t value, uint32_t byte_count)
{
    for (uint32_t i = 0; i < byte_count; i++)
        to[i] = (uint8_t)(value >> 8 * (byte_count - 1 - i));
}

static uint64_t get_big_endian(const uint8_t *from, uint32_t byte_count)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < byte_count; i++)
        value = value << 8 | from[i];
    return value;
}

static struct storage_request moving(uint8_t command, const struct storage_disk *disk,
                                     uint64_t sector, uint32_t count)
{
    struct storage_request request = {.lun = disk->lun,
                                      .cdb_bytes = 16,
                                      .cdb = {command},
                                      .byte_count = count * STORAGE_SECTOR_BYTES};

    put_big_endian(request.cdb + 2, sector, 8);
    put_big_endian(request.cdb + 10, count, 4);
    return request;
}

struct storage_request storage_reading(const struct storage_disk *disk, uint64_t sector, void *to,
                                       uint32_t count)
{
    struct storage_request request = moving(READ_16, disk, sector, count);

    request.direction = STORAGE_FROM_DISK;
    request.buffer = to;
    return request;
}

struct storage_request storage_writing(const struct storage_disk *disk, uint64_t sector,
                                       const void *from, uint32_t count)
{
    struct storage_request request = moving(WRITE_16, disk, sector, count);

    request.direction = STORAGE_TO_DISK;
    request.buffer = (void *)(uintptr_t)from; // the host reads it only
    return request;
}

// A disk that was reset, or whose neighbours have changed, says so once instead of doing anything.
static enum storage_status insist(struct storage *storage, struct storage_request request)
{
    enum storage_status status = storage_do(storage, &request);

    for (uint32_t tries = 0; tries < PATIENCE && status == STORAGE_FAILED; tries++) {
        if (request.sense_key != UNIT_ATTENTION)
            break;
        status = storage_do(storage, &request);
    }
    return status;
}

enum storage_status storage_read(struct storage *storage, const struct storage_disk *disk,
                                 uint64_t sector, void *to, uint32_t count)
{
    return insist(storage, storage_reading(disk, sector, to, count));
}

enum storage_status storage_write(struct storage *storage, const struct storage_disk *disk,
                                  uint64_t sector, const void *from, uint32_t count)
{
    return insist(storage, storage_writing(disk, sector, from, count));
}

enum storage_status storage_flush(struct storage *storage, const struct storage_disk *disk)
{
    const struct storage_request request = {.lun = disk->lun,
                                            .direction = STORAGE_NO_DATA,
                                            .cdb_bytes = 10,
                                            .cdb = {SYNCHRONIZE_CACHE}};

    return insist(storage, request);
}

enum storage_status storage_list(struct storage *storage, uint8_t luns[STORAGE_MOST_LUNS],
                                 uint32_t *ret)
{
    static uint8_t answer[LIST_HEADER_BYTES + LIST_ENTRY_BYTES * STORAGE_MOST_LUNS];
    struct storage_request request = {.buffer = answer,
                                      .byte_count = sizeof(answer),
                                      .direction = STORAGE_FROM_DISK,
                                      .cdb_bytes = 12,
                                      .cdb = {REPORT_LUNS}};

    put_big_endian(request.cdb + 6, sizeof(answer), 4);
    const enum storage_status status = insist(storage, request);
    if (status != STORAGE_DONE)
        return status;
    const uint64_t count = get_big_endian(answer, 4) / LIST_ENTRY_BYTES;
    *ret = count < STORAGE_MOST_LUNS ? (uint32_t)count : STORAGE_MOST_LUNS;
    for (uint32_t i = 0; i < *ret; i++)
        luns[i] = answer[LIST_HEADER_BYTES + LIST_ENTRY_BYTES * i + 1];
    return STORAGE_DONE;
}

static enum storage_status inquire(struct storage *storage, struct storage_disk *disk)
{
    uint8_t answer[36] = {NOBODY};
    const struct storage_request request = {.buffer = answer,
                                            .byte_count = sizeof(answer),
                                            .lun = disk->lun,
                                            .direction = STORAGE_FROM_DISK,
                                            .cdb_bytes = 6,
                                            .cdb = {INQUIRY, 0, 0, 0, sizeof(answer)}};

    const enum storage_status status = insist(storage, request);
    if (status != STORAGE_DONE)
        return status;
    if (answer[0] == NOBODY)
        return STORAGE_NO_DISK;
    uint32_t end = PRODUCT_BYTES;
    while (end > 0 && answer[PRODUCT + end - 1] == ' ')
        end--;
    memcpy(disk->product, answer + PRODUCT, end);
    disk->product[end] = '\0';
    return STORAGE_DONE;
}

enum storage_status storage_serial(struct storage *storage, uint8_t lun,
                                   char serial[STORAGE_SERIAL_BYTES])
{
    uint8_t page[PAGE_HEADER_BYTES + STORAGE_SERIAL_BYTES - 1] = {NOBODY};
    const struct storage_request request = {.buffer = page,
                                            .byte_count = sizeof(page),
                                            .lun = lun,
                                            .direction = STORAGE_FROM_DISK,
                                            .cdb_bytes = 6,
                                            .cdb = {INQUIRY, VITAL, SERIAL_PAGE, 0, sizeof(page)}};

    const enum storage_status status = insist(storage, request);
    if (status != STORAGE_DONE)
        return status;
    if (page[0] == NOBODY)
        return STORAGE_NO_DISK;
    memset(serial, 0, STORAGE_SERIAL_BYTES);
    const uint32_t most = STORAGE_SERIAL_BYTES - 1;
    memcpy(serial, page + PAGE_HEADER_BYTES, page[3] < most ? page[3] : most);
    return STORAGE_DONE;
}

enum storage_status storage_find(struct storage *storage, uint8_t lun, struct storage_disk *disk)
{
    uint8_t answer[32];
    const struct storage_request request = {
        .buffer = answer,
        .byte_count = sizeof(answer),
        .lun = lun,
        .direction = STORAGE_FROM_DISK,
        .cdb_bytes = 16,
        .cdb = {SERVICE_ACTION_IN, READ_CAPACITY_16, [13] = sizeof(answer)}};

    *disk = (struct storage_disk){.lun = lun};
    enum storage_status status = inquire(storage, disk);
    if (status == STORAGE_DONE)
        status = insist(storage, request);
    if (status == STORAGE_DONE)
        disk->sector_count = get_big_endian(answer, 8) + 1;
    return status;
}
