// Puts the header of a message pipe before a message, and believes it only when it fits.

#include "lib/pipe.h"
#include "lib/memory.h"
#include <stddef.h>

enum vmbus_outcome pipe_send(struct vmbus_channel *channel, const void *message,
                             uint32_t byte_count)
{
    const struct pipe_header header = {PIPE_DATA, byte_count};
    const struct vmbus_part parts[] = {{&header, sizeof(header)}, {message, byte_count}};

    return vmbus_send_parts(channel, VMBUS_IN_BAND, parts, 2);
}

uint8_t *pipe_message(const struct vmbus_packet *packet, uint32_t *ret)
{
    struct pipe_header header;

    if (packet->header.kind != VMBUS_KIND_IN_BAND || packet->payload_bytes < sizeof(header))
        return NULL;
    memcpy(&header, packet->payload, sizeof(header));
    if (header.type != PIPE_DATA || header.byte_count > packet->payload_bytes - sizeof(header))
        return NULL;
    *ret = header.byte_count;
    return packet->payload + sizeof(header);
}
