// Connects to the host: the newest version that both know, then the list of offers.

#include "lib/memory.h"
#include "lib/traps.h"
#include "lib/vmbus_bus.h"
#include <stddef.h>

enum {
    CONNECTION_BEFORE_5_0 = 1,
    CONNECTION_FROM_5_0 = 4, // for InitiateContact alone; its answer names another
};

static const uint32_t VERSIONS[] = {VMBUS_5_3, VMBUS_5_2, VMBUS_5_1, VMBUS_5_0,
                                    VMBUS_4_1, VMBUS_4_0, VMBUS_3_0, VMBUS_2_4};
enum { VERSION_COUNT = sizeof(VERSIONS) / sizeof(VERSIONS[0]) };

static struct synic synic;
static _Alignas(4096) uint8_t hypercall_code[4096];

static bool prepare_vp(void)
{
    if (!hypercall_page_is_enabled() && !hypercall_page_enable((uint64_t)hypercall_code))
        return false;
    synic_enable(&synic);
    set_trap_handler(VMBUS_VECTOR, vmbus_on_interrupt);
    sint_set(VMBUS_SINT, VMBUS_VECTOR, SINT_AUTO_EOI);
    return true;
}

// VMBUS_NO_BUS: nobody is behind this version's connection. VMBUS_NO_VERSION: the host says no.
static enum vmbus_outcome try_version(uint32_t version)
{
    struct vmbus_initiate_contact message = {
        .head = {VMBUS_INITIATE_CONTACT, 0},
        .version = version,
        .interrupt_page = version >= VMBUS_5_0 ? VMBUS_SINT : (uint64_t)vmbus_pages.from_host_bits,
        .monitor_pages = {(uint64_t)vmbus_pages.monitors[0], (uint64_t)vmbus_pages.monitors[1]},
    };
    struct vmbus_version_response response;

    vmbus_bus.connection = version >= VMBUS_5_0 ? CONNECTION_FROM_5_0 : CONNECTION_BEFORE_5_0;
    if (vmbus_post(&message, sizeof(message)) != VMBUS_OK)
        return VMBUS_NO_BUS;
    vmbus_await(VMBUS_VERSION_RESPONSE, ANY_ID, NULL);
    memcpy(&response, vmbus_bus.reply.payload, sizeof(response));
    if (!response.supported)
        return VMBUS_NO_VERSION;
    if (response.connection_state != 0)
        return VMBUS_REFUSED;
    vmbus_bus.version = version;
    if (version >= VMBUS_5_0)
        vmbus_bus.connection = response.connection;
    return VMBUS_OK;
}

// What counts is what the host said last; that nobody listens, only if that is so of every version.
static enum vmbus_outcome agree_on_version(uint32_t newest)
{
    enum vmbus_outcome worst = VMBUS_NO_BUS;

    for (uint32_t i = 0; i < VERSION_COUNT; i++) {
        if (VERSIONS[i] > newest)
            continue;
        const enum vmbus_outcome outcome = try_version(VERSIONS[i]);
        if (outcome == VMBUS_OK || outcome == VMBUS_REFUSED)
            return outcome;
        if (outcome == VMBUS_NO_VERSION)
            worst = outcome;
    }
    return worst;
}

enum vmbus_outcome vmbus_connect(uint32_t newest)
{
    const struct vmbus_head request = {VMBUS_REQUEST_OFFERS, 0};

    memset(&vmbus_bus, 0, sizeof(vmbus_bus));
    if (!prepare_vp())
        return VMBUS_NO_BUS;
    const enum vmbus_outcome outcome = agree_on_version(newest);
    if (outcome != VMBUS_OK)
        return outcome;
    if (vmbus_post(&request, sizeof(request)) != VMBUS_OK)
        return VMBUS_NO_BUS;
    return vmbus_await(VMBUS_ALL_OFFERS_DELIVERED, ANY_ID, NULL);
}

uint32_t vmbus_version(void)
{
    return vmbus_bus.version;
}

const struct vmbus_offer *vmbus_find_offer(const struct guid *interface, uint32_t nth)
{
    for (uint32_t i = 0; i < VMBUS_MOST_OFFERS; i++) {
        const struct vmbus_offer *offer = &vmbus_bus.offers[i];
        const bool fits = offer->relid != 0 && !offer->is_rescinded &&
                          (!interface || guid_equal(&offer->interface, interface));
        if (fits && nth-- == 0)
            return offer;
    }
    return NULL;
}

enum vmbus_outcome vmbus_disconnect(void)
{
    const struct vmbus_head unload = {VMBUS_UNLOAD, 0};

    if (vmbus_bus.version == 0)
        return VMBUS_NO_BUS;
    if (vmbus_post(&unload, sizeof(unload)) != VMBUS_OK)
        return VMBUS_NO_BUS;
    vmbus_await(VMBUS_UNLOAD_RESPONSE, ANY_ID, NULL);
    sint_set(VMBUS_SINT, VMBUS_VECTOR, SINT_MASKED);
    synic_disable();
    memset(&vmbus_bus, 0, sizeof(vmbus_bus));
    return VMBUS_OK;
}
