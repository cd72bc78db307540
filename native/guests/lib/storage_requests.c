// How requests go to the host and come back: each is known by its address.

#include "lib/memory.h"
#include "lib/storage_packet.h"
#include <stddef.h>

_Static_assert(sizeof(struct storage_packet) == 64, "as minihv/spec/vstor.py");
_Static_assert(offsetof(struct storage_packet, scsi.cdb_or_sense) == 28, "as minihv/spec/vstor.py");

enum { SRB_SUCCESS = 0x01, SRB_INVALID_LUN = 0x20, SRB_STATUS_BITS = 0x3F };
enum { SENSE_BYTES = 20, SENSE_KEY = 2, ADDITIONAL = 12, TIMEOUT_SECONDS = 60 };
enum { CONTROL_TRANSACTION = 1 }; // no request is at that address

static _Alignas(8) uint8_t received[256];

// The next answer; what the host sends of its own accord is counted.
static enum vmbus_outcome next_answer(struct storage *storage, uint64_t *transaction_id,
                                      struct storage_packet *ret)
{
    struct vmbus_packet packet;

    for (;;) {
        enum vmbus_outcome outcome =
            vmbus_receive(&storage->channel, received, sizeof(received), &packet);
        if (outcome == VMBUS_EMPTY)
            outcome = vmbus_wait(&storage->channel);
        else if (outcome == VMBUS_OK && packet.header.kind == VMBUS_KIND_COMPLETION) {
            const uint32_t size = packet.payload_bytes;
            memcpy(ret, packet.payload, size < sizeof(*ret) ? size : sizeof(*ret));
            *transaction_id = packet.header.transaction_id;
            return VMBUS_OK;
        } else if (outcome == VMBUS_OK) {
            storage->changes++;
        }
        if (outcome != VMBUS_OK)
            return outcome;
    }
}

enum storage_status storage_exchange(struct storage *storage, struct storage_packet *packet)
{
    const struct vmbus_header header = {VMBUS_KIND_IN_BAND, VMBUS_WANTS_COMPLETION,
                                        CONTROL_TRANSACTION};
    uint64_t answered = 0;

    if (vmbus_send(&storage->channel, header, packet, sizeof(*packet)) != VMBUS_OK)
        return STORAGE_BROKEN;
    while (answered != CONTROL_TRANSACTION)
        if (next_answer(storage, &answered, packet) != VMBUS_OK)
            return STORAGE_BROKEN;
    return packet->status == 0 ? STORAGE_DONE : STORAGE_REFUSED;
}

static struct storage_packet packet_of(const struct storage_request *request)
{
    struct storage_packet packet = {.operation = STORAGE_EXECUTE,
                                    .flags = STORAGE_WANTS_COMPLETION,
                                    .scsi = {.length = sizeof(packet.scsi),
                                             .lun = request->lun,
                                             .cdb_bytes = request->cdb_bytes,
                                             .sense_bytes = SENSE_BYTES,
                                             .direction = request->direction,
                                             .data_bytes = request->byte_count,
                                             .timeout_seconds = TIMEOUT_SECONDS}};

    memcpy(packet.scsi.cdb_or_sense, request->cdb, sizeof(request->cdb));
    return packet;
}

enum vmbus_outcome storage_start(struct storage *storage, struct storage_request *request)
{
    const struct storage_packet packet = packet_of(request);
    const struct vmbus_part payload = {&packet, sizeof(packet)};
    struct vmbus_header header = {VMBUS_KIND_IN_BAND, VMBUS_WANTS_COMPLETION, (uintptr_t)request};

    if (request->byte_count == 0)
        return vmbus_queue(&storage->channel, header, payload.bytes, payload.byte_count);
    header.kind = VMBUS_KIND_GPA_DIRECT;
    const struct vmbus_part memory = {request->buffer, request->byte_count};
    return vmbus_queue_direct(&storage->channel, header, memory, payload);
}

enum vmbus_outcome storage_publish(struct storage *storage)
{
    return vmbus_publish(&storage->channel);
}

static enum storage_status status_of(const struct storage_packet *packet)
{
    if (packet->status != 0)
        return STORAGE_REFUSED;
    switch (packet->scsi.srb_status & SRB_STATUS_BITS) {
    case SRB_SUCCESS:
        return STORAGE_DONE;
    case SRB_INVALID_LUN:
        return STORAGE_NO_DISK;
    default:
        return STORAGE_FAILED;
    }
}

static void finish_request(struct storage_request *request, const struct storage_packet *packet)
{
    const uint8_t *sense = packet->scsi.cdb_or_sense;

    request->status = status_of(packet);
    request->moved_bytes = packet->scsi.data_bytes;
    request->sense_key = 0;
    request->additional = 0;
    if (request->status == STORAGE_FAILED && packet->scsi.sense_bytes > ADDITIONAL + 1) {
        request->sense_key = sense[SENSE_KEY] & 0xF;
        request->additional = (uint16_t)(sense[ADDITIONAL] << 8 | sense[ADDITIONAL + 1]);
    }
}

struct storage_request *storage_next(struct storage *storage)
{
    struct storage_packet packet;
    uint64_t transaction_id;

    if (next_answer(storage, &transaction_id, &packet) != VMBUS_OK)
        return NULL;
    struct storage_request *request = (struct storage_request *)transaction_id;
    finish_request(request, &packet);
    return request;
}

enum storage_status storage_listen(struct storage *storage)
{
    struct vmbus_packet packet;
    enum vmbus_outcome outcome;

    do {
        outcome = vmbus_receive(&storage->channel, received, sizeof(received), &packet);
        storage->changes += outcome == VMBUS_OK;
    } while (outcome == VMBUS_OK);
    return outcome == VMBUS_EMPTY ? STORAGE_DONE : STORAGE_BROKEN;
}

enum storage_status storage_do(struct storage *storage, struct storage_request *request)
{
    enum vmbus_outcome outcome = storage_start(storage, request);

    if (outcome == VMBUS_OK)
        outcome = storage_publish(storage);
    if (outcome == VMBUS_OK && storage_next(storage) == request)
        return request->status;
    return outcome == VMBUS_INVALID ? STORAGE_REFUSED : STORAGE_BROKEN;
}
