// Message pipes: packets that begin with their exact length, since a ring knows it to 8 bytes only.
#ifndef GUESTS_PIPE_H
#define GUESTS_PIPE_H
#include "lib/vmbus.h"

// What every packet of a message pipe begins with.
struct pipe_header {
    uint32_t type;       // PIPE_DATA
    uint32_t byte_count; // behind this header
};

enum { PIPE_DATA = 1 };

// One message, in-band.
enum vmbus_outcome pipe_send(struct vmbus_channel *channel, const void *message,
                             uint32_t byte_count);

// Where the message in `packet` is, and how long; NULL: it is no whole message.
uint8_t *pipe_message(const struct vmbus_packet *packet, uint32_t *ret);

#endif
