// What the files of the VMBus client share. A program includes lib/vmbus.h and not this.
#ifndef GUESTS_VMBUS_BUS_H
#define GUESTS_VMBUS_BUS_H
#include "lib/synic.h"
#include "lib/vmbus.h"
#include "lib/vmbus_messages.h"

// The connection of this guest to its host. The interrupt handler writes to the offers and the
// reply; it runs only inside vmbus_idle.
struct vmbus_bus {
    uint32_t version;    // 0: not connected
    uint32_t connection; // where control messages are posted to
    uint32_t last_gpadl; // the number that was given last
    struct vmbus_offer offers[VMBUS_MOST_OFFERS];
    uint32_t awaited_number; // of the message that is waited for; 0: none
    uint32_t awaited_id;     // and what it names: the relid, or the GPADL of a GpadlTorndown
    struct synic_message reply;
};

extern struct vmbus_bus vmbus_bus;

enum { ANY_ID = 0 };

// `message` goes to the host. It is tried again for a while when the host's buffers are full.
enum vmbus_outcome vmbus_post(const void *message, uint32_t byte_count);

// Waits for message `number` that names `id`; it is in vmbus_bus.reply then. An offer that is
// rescinded meanwhile ends the wait with VMBUS_GONE; NULL: none can.
enum vmbus_outcome vmbus_await(uint32_t number, uint32_t id, const struct vmbus_offer *offer);

// The interrupt handler of SINT 2.
struct trap_frame;
void vmbus_on_interrupt(struct trap_frame *frame);

// The offer with that relid, or NULL.
struct vmbus_offer *vmbus_offer_of(uint32_t relid);

// The host may use the relid of a rescinded offer again.
void vmbus_release(struct vmbus_offer *offer);

// Marks the channel's bit for the host, if it shares its connection, and signals.
void vmbus_signal(const struct vmbus_offer *offer);

// The pages that InitiateContact names; those of an older host's ways to signal.
struct vmbus_pages {
    _Alignas(4096) uint8_t from_host_bits[2048];
    _Atomic uint64_t to_host_bits[VMBUS_MOST_RELIDS / 64];
    _Alignas(4096) uint8_t monitors[2][4096];
};

extern struct vmbus_pages vmbus_pages;

#endif
