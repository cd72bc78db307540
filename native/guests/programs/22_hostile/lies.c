// Writes what cannot be into the pages that host and guest share.

#include "lies.h"

static void publish(struct vmbus_channel *channel, uint32_t write_index)
{
    *(volatile uint32_t *)&channel->to_host.control->write_index = write_index;
}

// A packet of 32 bytes that says of itself what `descriptor` says.
static void send_raw(struct vmbus_channel *channel, struct mhv_packet_descriptor descriptor)
{
    *(volatile struct mhv_packet_descriptor *)channel->to_host.data = descriptor;
    publish(channel, 40);
}

static void index_outside(struct vmbus_channel *channel)
{
    publish(channel, 0xFFFFFFF8);
}

static void index_misaligned(struct vmbus_channel *channel)
{
    publish(channel, 3);
}

static void too_long(struct vmbus_channel *channel)
{
    send_raw(channel, (struct mhv_packet_descriptor){VMBUS_KIND_IN_BAND, 2, 0xFFFF, 0, 0});
}

static void no_kind(struct vmbus_channel *channel)
{
    send_raw(channel, (struct mhv_packet_descriptor){99, 2, 4, 0, 0});
}

static void payload_before_itself(struct vmbus_channel *channel)
{
    send_raw(channel, (struct mhv_packet_descriptor){VMBUS_KIND_IN_BAND, 0, 4, 0, 0});
}

// It claims to have more ranges than a packet has bytes.
static void too_many_ranges(struct vmbus_channel *channel)
{
    *(volatile uint32_t *)(channel->to_host.data + 20) = 0xFFFFFFFF;
    send_raw(channel, (struct mhv_packet_descriptor){VMBUS_KIND_GPA_DIRECT, 4, 4, 0, 0});
}

const struct lie LIES[LIE_COUNT] = {
    {"an index outside its ring", &INTERFACE_ECHO, index_outside},
    {"an index that is no multiple of 8", &INTERFACE_CONSOLE, index_misaligned},
    {"a packet that is longer than the ring", &INTERFACE_HEARTBEAT, too_long},
    {"a kind of packet that is none", &INTERFACE_SHUTDOWN, no_kind},
    {"a payload that begins in its own header", &INTERFACE_TIME_SYNC, payload_before_itself},
    {"more ranges than fit in the packet", &INTERFACE_KVP, too_many_ranges},
};
