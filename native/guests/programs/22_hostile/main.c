// Breaks every rule that it knows: bad calls, bad messages, floods, and lies in its own rings.

#include "lib/boot.h"
#include "lib/descriptors.h"
#include "lib/echo.h"
#include "lib/expect.h"
#include "lib/memory.h"
#include "lib/synic.h"
#include "lib/vmbus.h"
#include "lib/vmbus_bus.h" // a program that keeps the rules needs it not
#include "lies.h"
#include <stddef.h>

enum {
    RING_PAGES = 1,
    FLOOD_COUNT = 500,
    NO_SUCH_ID = 0x700,
};

static struct vp_area area;
static struct vmbus_channel channel;
static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];
static const struct vmbus_rings RINGS = {ring_memory, RING_PAGES, RING_PAGES};

static void make_bad_calls(void)
{
    uint8_t payload[MESSAGE_PAYLOAD_BYTES] = {0};
    const uint32_t connection = vmbus_bus.connection;

    expect_equal("posting to nobody", post_message(NO_SUCH_ID, 1, payload, 8),
                 HV_INVALID_CONNECTION_ID);
    expect_equal("a message of type 0", post_message(connection, 0, payload, 8),
                 HV_INVALID_PARAMETER);
    expect_equal("a message of the hypervisor's type",
                 post_message(connection, 0x80000000, NULL, 0), HV_INVALID_PARAMETER);
    expect_equal("a message of 241 bytes",
                 post_message(connection, 1, NULL, MESSAGE_PAYLOAD_BYTES + 1),
                 HV_INVALID_PARAMETER);
    expect_equal("signalling nobody", signal_event(NO_SUCH_ID, 0), HV_INVALID_CONNECTION_ID);
    expect_equal("a flag that the port has not", signal_event(channel.offer->connection, 1),
                 HV_INVALID_PARAMETER);
}

// Truncated messages, unknown ones, ids that do not exist: the host drops them.
static void talk_nonsense(void)
{
    uint32_t words[MESSAGE_PAYLOAD_BYTES / 4];
    uint32_t posted_count = 0;

    for (uint32_t number = 0; number < 40; number++) {
        for (uint32_t i = 0; i < MESSAGE_PAYLOAD_BYTES / 4; i++)
            words[i] = NO_SUCH_ID + number * i;
        words[0] = number == VMBUS_INITIATE_CONTACT || number == VMBUS_UNLOAD ? 0 : number;
        posted_count += vmbus_post(words, number * 6) == VMBUS_OK;
    }
    expect_equal("nonsense that was taken", posted_count, 40);
}

static uint32_t status_of_reply(uint32_t number, uint32_t relid)
{
    struct vmbus_result_message result;

    vmbus_await(number, relid, NULL);
    memcpy(&result, vmbus_bus.reply.payload, sizeof(result));
    return result.status;
}

// What GpadlCreated says to one range of `byte_count` bytes with one page number.
static uint32_t grant(uint32_t gpadl, uint32_t byte_count, uint32_t byte_offset, uint64_t pfn)
{
    struct vmbus_gpadl_header message = {
        .head = {VMBUS_GPADL_HEADER, 0},
        .relid = channel.offer->relid,
        .gpadl = gpadl,
        .range_bytes = 16,
        .range_count = 1,
        .byte_count = byte_count,
        .byte_offset = byte_offset,
        .pfns = {pfn},
    };

    vmbus_post(&message, offsetof(struct vmbus_gpadl_header, pfns) + 8);
    return status_of_reply(VMBUS_GPADL_CREATED, channel.offer->relid);
}

static void grant_what_it_has_not(void)
{
    const uint64_t own = (uint64_t)ring_memory / 4096;

    expect_true("a page beyond its memory is refused", grant(0x100, 4096, 0, UINT64_C(1) << 40));
    expect_true("and one at the end of numbers", grant(0x101, 4096, 0, UINT64_MAX));
    expect_true("a range of no bytes", grant(0x102, 0, 0, own));
    expect_true("a range that begins outside its page", grant(0x103, 4096, 4096, own));
    expect_true("a range with more bytes than pages", grant(0x104, 8192, 0, own));
    expect_true("a number that is taken", grant(channel.gpadl, 4096, 0, own));
}

static uint32_t open_with(uint32_t relid, uint32_t gpadl, uint32_t from_host_page)
{
    const struct vmbus_open_message message = {
        .head = {VMBUS_OPEN_CHANNEL, 0},
        .relid = relid,
        .open_id = relid,
        .gpadl = gpadl,
        .from_host_page = from_host_page,
    };

    vmbus_post(&message, sizeof(message));
    return status_of_reply(VMBUS_OPEN_RESULT, relid);
}

static void open_what_it_may_not(void)
{
    const uint32_t relid = channel.offer->relid;
    const struct vmbus_gpadl_teardown teardown = {{VMBUS_GPADL_TEARDOWN, 0}, relid, channel.gpadl};

    expect_true("a channel that was not offered is refused", open_with(NO_SUCH_ID, 1, 2));
    expect_true("a channel that is open", open_with(relid, channel.gpadl, 2));
    vmbus_post(&teardown, sizeof(teardown)); // of rings that are in use: there is no answer
}

static void flood(void)
{
    uint32_t signalled_count = 0;

    for (uint32_t i = 0; i < FLOOD_COUNT; i++)
        signalled_count += signal_event(channel.offer->connection, 0) == HV_SUCCESS;
    expect_equal("signals for nothing", signalled_count, FLOOD_COUNT);
}

// The host takes a channel away from a guest that lies in its ring.
static void tell(const struct lie *lie)
{
    enum vmbus_outcome outcome = vmbus_open(&channel, vmbus_find_offer(lie->interface, 0), RINGS);

    if (outcome == VMBUS_OK) {
        lie->tell(&channel);
        signal_event(channel.offer->connection, 0);
        while (!channel.offer->is_rescinded)
            vmbus_idle();
        outcome = vmbus_close(&channel);
    }
    expect_true(lie->name, outcome == VMBUS_OK && !vmbus_find_offer(lie->interface, 0));
}

void guest_main(const struct boot_info *info)
{
    (void)info;
    descriptors_install(&area);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    expect_equal("opening the echo channel",
                 vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0), RINGS), VMBUS_OK);
    make_bad_calls();
    talk_nonsense();
    grant_what_it_has_not();
    open_what_it_may_not();
    flood();
    expect_equal("the channel still works", echo_round_trip(&channel, 1, "still", 6), VMBUS_OK);
    expect_equal("closing it", vmbus_close(&channel), VMBUS_OK);
    for (uint32_t i = 0; i < LIE_COUNT; i++)
        tell(&LIES[i]);
    expect_true("nothing is offered any more", !vmbus_find_offer(NULL, 0));
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
