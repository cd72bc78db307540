// Control messages of VMBus: posts them, takes what comes, keeps the list of offers.

#include "lib/vmbus_bus.h"
#include "lib/cpu.h"
#include "lib/memory.h"
#include "lib/traps.h"
#include <stdatomic.h>
#include <stddef.h>

enum {
    MESSAGE_TYPE_VMBUS = 1,
    MOST_POSTS = 100, // until the host is given up
    PAUSES_PER_TRY = 1000,
};

struct vmbus_bus vmbus_bus;
struct vmbus_pages vmbus_pages;

static bool is_to_be_retried(enum hypercall_status status)
{
    return status == HV_INSUFFICIENT_BUFFERS || status == HV_INSUFFICIENT_MEMORY;
}

// A host that is behind gets more time with each try.
enum vmbus_outcome vmbus_post(const void *message, uint32_t byte_count)
{
    enum hypercall_status status = HV_INSUFFICIENT_BUFFERS;

    for (uint32_t tries = 0; tries < MOST_POSTS && is_to_be_retried(status); tries++) {
        for (uint32_t pauses = 0; pauses < tries * PAUSES_PER_TRY; pauses++)
            pause();
        status = post_message(vmbus_bus.connection, MESSAGE_TYPE_VMBUS, message, byte_count);
    }
    return status == HV_SUCCESS ? VMBUS_OK : VMBUS_NO_BUS;
}

struct vmbus_offer *vmbus_offer_of(uint32_t relid)
{
    for (uint32_t i = 0; i < VMBUS_MOST_OFFERS; i++)
        if (relid != 0 && vmbus_bus.offers[i].relid == relid)
            return &vmbus_bus.offers[i];
    return NULL;
}

static struct vmbus_offer *free_place(void)
{
    for (uint32_t i = 0; i < VMBUS_MOST_OFFERS; i++)
        if (vmbus_bus.offers[i].relid == 0)
            return &vmbus_bus.offers[i];
    return NULL;
}

// An offer with a relid that cannot be, or that is in use, is not taken; nor is one too many.
static void take_offer(const struct vmbus_offer_message *message)
{
    struct vmbus_offer *offer = free_place();

    if (!offer || vmbus_offer_of(message->relid) || message->relid == 0 ||
        message->relid >= VMBUS_MOST_RELIDS)
        return;
    offer->interface = message->interface;
    offer->instance = message->instance;
    offer->connection = message->connection;
    offer->flags = message->flags;
    offer->sub_channel = message->sub_channel;
    memcpy(offer->user, message->user, sizeof(offer->user));
    offer->is_dedicated = message->dedicated_interrupt & 1;
    offer->is_open = false;
    offer->is_rescinded = false;
    offer->relid = message->relid;
}

// Nobody holds a channel on it: the relid is given back at once. Else vmbus_close does.
static void take_rescind(uint32_t relid)
{
    struct vmbus_offer *offer = vmbus_offer_of(relid);

    if (!offer || offer->is_rescinded)
        return;
    offer->is_rescinded = true;
    if (!offer->is_open)
        vmbus_release(offer);
}

void vmbus_release(struct vmbus_offer *offer)
{
    const struct vmbus_relid_message message = {{VMBUS_RELID_RELEASED, 0}, offer->relid};

    vmbus_post(&message, sizeof(message));
    offer->relid = 0;
}

static void take_message(const struct synic_message *message)
{
    uint32_t words[3] = {0}; // number, zero, and what most messages name next

    memcpy(words, message->payload, sizeof(words));
    if (message->payload_bytes < sizeof(struct vmbus_head))
        return;
    if (words[0] == VMBUS_OFFER_CHANNEL &&
        message->payload_bytes >= sizeof(struct vmbus_offer_message)) {
        struct vmbus_offer_message offer;
        memcpy(&offer, message->payload, sizeof(offer));
        take_offer(&offer);
    } else if (words[0] == VMBUS_RESCIND_OFFER) {
        take_rescind(words[2]);
    } else if (words[0] == vmbus_bus.awaited_number &&
               (vmbus_bus.awaited_id == ANY_ID || vmbus_bus.awaited_id == words[2])) {
        vmbus_bus.reply = *message;
        vmbus_bus.awaited_number = 0;
    }
}

// A flag wakes the VP, which is all that it is for: who waits looks at its ring.
static void take_flag(uint32_t relid)
{
    (void)relid;
}

// Events before messages: what a channel still said is seen before it is taken away.
void vmbus_on_interrupt(struct trap_frame *frame)
{
    struct synic_message message;

    (void)frame;
    synic_take_flags(VMBUS_SINT, take_flag);
    while (synic_read_message(VMBUS_SINT, &message))
        take_message(&message);
}

void vmbus_idle(void)
{
    wait_for_interrupt();
}

enum vmbus_outcome vmbus_await(uint32_t number, uint32_t id, const struct vmbus_offer *offer)
{
    volatile uint32_t *awaited = &vmbus_bus.awaited_number;

    vmbus_bus.awaited_id = id;
    *awaited = number;
    while (*awaited != 0) {
        if (offer && offer->is_rescinded) {
            *awaited = 0;
            return VMBUS_GONE;
        }
        vmbus_idle();
    }
    return VMBUS_OK;
}

void vmbus_signal(const struct vmbus_offer *offer)
{
    if (!offer->is_dedicated)
        atomic_fetch_or_explicit(&vmbus_pages.to_host_bits[offer->relid / 64],
                                 UINT64_C(1) << offer->relid % 64, memory_order_seq_cst);
    signal_event(offer->connection, 0);
}
