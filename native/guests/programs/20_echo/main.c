// Sends packets to its parent and gets them back: one by one, then as many as fit.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/echo.h"
#include "lib/expect.h"
#include "lib/vmbus.h"

enum {
    ROUND_COUNT = 200,
    PACKET_COUNT = 2000,
    PACKET_BYTES = 64,
    BATCH = 32,
    RING_PAGES = 4,
};

static struct vp_area area;
static struct vmbus_channel channel;
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];
static uint8_t body[ECHO_MOST_BYTES];

// Sizes from 0 to the largest, and no body is like the one before.
static void go_round(void)
{
    uint32_t same_count = 0;

    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        const uint32_t byte_count = round * 37 % (ECHO_MOST_BYTES + 1);
        body[round % ECHO_MOST_BYTES] += (uint8_t)(round + 1);
        same_count += echo_round_trip(&channel, round, body, byte_count) == VMBUS_OK;
    }
    expect_equal("round trips that brought back what was sent", same_count, ROUND_COUNT);
}

static void send_many(void)
{
    struct echo_totals totals = {.sunk_packets = 0};

    expect_equal("sending in batches", echo_sink(&channel, PACKET_COUNT, PACKET_BYTES, BATCH),
                 VMBUS_OK);
    expect_equal("asking what came", echo_totals(&channel, &totals), VMBUS_OK);
    expect_equal("packets that came", totals.sunk_packets, PACKET_COUNT);
    expect_equal("bytes that came", totals.sunk_bytes, (uint64_t)PACKET_COUNT * PACKET_BYTES);
}

static void receive_many(void)
{
    struct echo_totals totals = {.sunk_packets = 0};

    expect_equal("receiving what was ordered", echo_source(&channel, PACKET_COUNT, PACKET_BYTES),
                 VMBUS_OK);
    expect_equal("asking what went", echo_totals(&channel, &totals), VMBUS_OK);
    expect_equal("packets that went", totals.sent_packets, PACKET_COUNT);
}

void guest_main(const struct boot_info *info)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};

    (void)info;
    descriptors_install(&area);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    if (!expect_equal("opening the echo channel",
                      vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0), rings), VMBUS_OK))
        return;
    go_round();
    send_many();
    receive_many();
    expect_equal("closing it", vmbus_close(&channel), VMBUS_OK);
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
