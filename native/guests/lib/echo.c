// Speaks to the echo service: one packet and its answer, many packets there, many packets back.

#include "lib/echo.h"
#include "lib/memory.h"
#include <stddef.h>

_Static_assert(sizeof(struct echo_totals) == 40, "as minihv/spec/own_channels.py");

static _Alignas(8) uint8_t buffer[4096];

// The next packet, however long it takes.
static enum vmbus_outcome receive(struct vmbus_channel *channel, struct vmbus_packet *ret)
{
    enum vmbus_outcome outcome = vmbus_receive(channel, buffer, sizeof(buffer), ret);

    while (outcome == VMBUS_EMPTY) {
        outcome = vmbus_wait(channel);
        if (outcome == VMBUS_OK)
            outcome = vmbus_receive(channel, buffer, sizeof(buffer), ret);
    }
    return outcome;
}

static enum vmbus_outcome send(struct vmbus_channel *channel, struct vmbus_header header,
                               uint32_t operation, struct vmbus_part body)
{
    const struct echo_header begin = {operation, body.byte_count};
    const struct vmbus_part parts[] = {{&begin, sizeof(begin)}, body};

    return vmbus_send_parts(channel, header, parts, 2);
}

static struct vmbus_header asks(uint64_t transaction_id)
{
    return (struct vmbus_header){VMBUS_KIND_IN_BAND, VMBUS_WANTS_COMPLETION, transaction_id};
}

static bool is_completion_of(const struct vmbus_packet *packet, uint64_t transaction_id)
{
    return packet->header.kind == VMBUS_KIND_COMPLETION &&
           packet->header.transaction_id == transaction_id;
}

enum vmbus_outcome echo_round_trip(struct vmbus_channel *channel, uint64_t transaction_id,
                                   const void *body, uint32_t byte_count)
{
    const struct echo_header begin = {ECHO_ECHO, byte_count};
    struct vmbus_packet packet;

    if (byte_count > ECHO_MOST_BYTES)
        return VMBUS_INVALID;
    enum vmbus_outcome outcome =
        send(channel, asks(transaction_id), ECHO_ECHO, (struct vmbus_part){body, byte_count});
    if (outcome == VMBUS_OK)
        outcome = receive(channel, &packet);
    if (outcome != VMBUS_OK)
        return outcome;
    const bool is_same = is_completion_of(&packet, transaction_id) &&
                         packet.payload_bytes >= sizeof(begin) + byte_count &&
                         memcmp(packet.payload, &begin, sizeof(begin)) == 0 &&
                         memcmp(packet.payload + sizeof(begin), body, byte_count) == 0;
    return is_same ? VMBUS_OK : VMBUS_REFUSED;
}

enum vmbus_outcome echo_sink(struct vmbus_channel *channel, uint32_t packet_count,
                             uint32_t byte_count, uint32_t batch)
{
    static _Alignas(8) uint8_t packet[sizeof(struct echo_header) + ECHO_MOST_BYTES];
    const struct echo_header begin = {ECHO_SINK, byte_count};
    const uint32_t packet_bytes = (uint32_t)sizeof(begin) + byte_count;
    enum vmbus_outcome outcome = VMBUS_OK;

    if (byte_count > ECHO_MOST_BYTES || batch == 0)
        return VMBUS_INVALID;
    memcpy(packet, &begin, sizeof(begin));
    for (uint32_t sent = 0; sent < packet_count && outcome == VMBUS_OK;) {
        outcome = vmbus_queue(channel, VMBUS_IN_BAND, packet, packet_bytes);
        if (outcome == VMBUS_FULL) {
            outcome = vmbus_wait_room(channel, packet_bytes);
            continue;
        }
        sent++;
        if (outcome == VMBUS_OK && sent % batch == 0)
            outcome = vmbus_publish(channel);
    }
    return outcome == VMBUS_OK ? vmbus_publish(channel) : outcome;
}

static bool is_number(const struct vmbus_packet *packet, uint64_t number)
{
    struct {
        struct echo_header header;
        uint64_t number;
    } begin;

    if (packet->payload_bytes < sizeof(begin))
        return false;
    memcpy(&begin, packet->payload, sizeof(begin));
    return begin.header.operation == ECHO_DATA && begin.number == number;
}

enum vmbus_outcome echo_source(struct vmbus_channel *channel, uint32_t packet_count,
                               uint32_t byte_count)
{
    const struct echo_order order = {packet_count, byte_count, 0};
    struct vmbus_packet packet;

    enum vmbus_outcome outcome =
        send(channel, VMBUS_IN_BAND, ECHO_SOURCE, (struct vmbus_part){&order, sizeof(order)});
    for (uint32_t number = 0; number < packet_count && outcome == VMBUS_OK; number++) {
        outcome = receive(channel, &packet);
        if (outcome == VMBUS_OK && !is_number(&packet, number))
            outcome = VMBUS_REFUSED;
    }
    return outcome;
}

enum vmbus_outcome echo_totals(struct vmbus_channel *channel, struct echo_totals *ret)
{
    const uint64_t transaction_id = 0x746F74616C73; // any
    struct vmbus_packet packet;

    enum vmbus_outcome outcome =
        send(channel, asks(transaction_id), ECHO_TOTALS, (struct vmbus_part){NULL, 0});
    if (outcome == VMBUS_OK)
        outcome = receive(channel, &packet);
    if (outcome != VMBUS_OK)
        return outcome;
    if (!is_completion_of(&packet, transaction_id) || packet.payload_bytes < sizeof(*ret))
        return VMBUS_REFUSED;
    memcpy(ret, packet.payload, sizeof(*ret));
    return VMBUS_OK;
}
