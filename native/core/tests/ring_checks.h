// What has to be true of a packet that an end of a ring has read, whatever its peer did.
#ifndef MINIHV_RING_CHECKS_H
#define MINIHV_RING_CHECKS_H
#include "minihv/ring.h"
#include <stddef.h>
#include <string.h>

// What is wrong with `packet`, of which `bytes` holds the private copy; NULL: nothing.
static inline const char *packet_problem(const uint8_t *bytes, const struct mhv_ring_packet *packet,
                                         uint32_t capacity)
{
    struct mhv_packet_descriptor copied;
    const uint64_t end = (uint64_t)packet->payload_offset + packet->payload_bytes;

    if (end > capacity || packet->payload_offset < packet->offset + sizeof copied)
        return "a packet reaches out of the buffer";
    memcpy(&copied, bytes + packet->offset, sizeof copied);
    if (copied.kind != packet->kind || copied.flags != packet->flags ||
        copied.transaction_id != packet->transaction_id ||
        packet->offset + copied.payload_offset8 * 8u != packet->payload_offset ||
        packet->offset + copied.length8 * 8u != end)
        return "a packet is not what its copy says";
    return NULL;
}

#endif
