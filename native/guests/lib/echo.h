// The echo channel of minihv: for tests, and to count what a packet costs.
//
// Layouts: minihv/spec/own_channels.py.
#ifndef GUESTS_ECHO_H
#define GUESTS_ECHO_H
#include "lib/vmbus.h"

enum echo_operation {
    ECHO_ECHO = 1,   // comes back as it is
    ECHO_SINK = 2,   // is counted and dropped
    ECHO_SOURCE = 3, // orders packets
    ECHO_DATA = 4,   // what was ordered
    ECHO_TOTALS = 5, // asks for the numbers
};

struct echo_header {
    uint32_t operation;
    uint32_t byte_count; // behind this header
};

// The body of ECHO_SOURCE.
struct echo_order {
    uint64_t packet_count;
    uint32_t body_bytes;
    uint32_t zero;
};

// What the host counted since the channel was opened.
struct echo_totals {
    struct echo_header header;
    uint64_t sunk_packets, sunk_bytes;
    uint64_t sent_packets, sent_bytes;
};

enum { ECHO_MOST_BYTES = 2048 }; // of a body in echo_round_trip

// `byte_count` bytes go to the host and back as the completion of `transaction_id`; VMBUS_REFUSED
// when what came back is not what was sent.
enum vmbus_outcome echo_round_trip(struct vmbus_channel *channel, uint64_t transaction_id,
                                   const void *body, uint32_t byte_count);

// Sends `packet_count` packets of `byte_count` bytes that the host drops, `batch` of them at a time
// before it is signalled; waits for room where there is none.
enum vmbus_outcome echo_sink(struct vmbus_channel *channel, uint32_t packet_count,
                             uint32_t byte_count, uint32_t batch);

// Orders `packet_count` packets of `byte_count` bytes, at least 8, and receives them; each must
// have its number. VMBUS_REFUSED: one had not.
enum vmbus_outcome echo_source(struct vmbus_channel *channel, uint32_t packet_count,
                               uint32_t byte_count);

// Asks the host for its numbers.
enum vmbus_outcome echo_totals(struct vmbus_channel *channel, struct echo_totals *ret);

#endif
