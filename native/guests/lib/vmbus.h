// VMBus from a guest's side: find the devices that the parent partition offers, and talk to them.
//
// A guest connects once, gets a list of offers, and opens a channel on each offer that it can use.
// A channel is two rings in the guest's own memory, one for each direction, and a doorbell.
//
//     descriptors_install(&area);                        // interrupts need an IDT
//     if (vmbus_connect(VMBUS_NEWEST) == VMBUS_OK &&
//         vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0), rings) == VMBUS_OK) {
//         vmbus_send(&channel, VMBUS_IN_BAND, "hello", 5);
//         if (vmbus_wait(&channel) == VMBUS_OK)
//             vmbus_receive(&channel, buffer, sizeof(buffer), &packet);
//         vmbus_close(&channel);
//     }
//     vmbus_disconnect();
//
// Rules for all of it:
// - Everything is called on VP 0 with interrupts off, which is how a VP begins. Interrupts are let
// in
//   only while a function of this library waits, by STI and HLT, so no handler ever runs between
//   two lines of the program. (lib/synic.h serves the other VPs.)
// - Memory that the host sees (the rings, the pages of lib/synic.h) is named by its GPA, and GPA =
// GVA
//   for it: the boot contract maps it so.
// - Every refusal is a value. After VMBUS_GONE and VMBUS_CORRUPT a channel can only be closed.
// - Vector 0x52, SINT 2 and GS belong to the library.
//
// Layouts: lib/vmbus_messages.h. The rings are those of native/core/include/minihv/ring.h.
#ifndef GUESTS_VMBUS_H
#define GUESTS_VMBUS_H
#include "lib/guid.h"
#include "minihv/ring.h"
#include <stdbool.h>
#include <stdint.h>

enum vmbus_outcome {
    VMBUS_OK = 0,
    VMBUS_NO_BUS,     // nobody receives our messages: there is no parent, or it serves no VMBus
    VMBUS_NO_VERSION, // the host speaks none of the versions that were asked for
    VMBUS_NO_OFFER,   // there is no such offer, or it is open already
    VMBUS_INVALID,    // the caller's sizes or addresses break a rule stated here
    VMBUS_REFUSED,    // the host answered with a status other than 0
    VMBUS_GONE,       // the host took the device away (rescind)
    VMBUS_EMPTY,      // nothing to receive; the host signals when that changes
    VMBUS_FULL,       // no room to send; vmbus_wait_room waits for it
    VMBUS_TOO_LONG,   // the packet at hand is longer than the buffer; it stays
    VMBUS_CORRUPT,    // the host broke the rules of the ring
};

// Versions are major << 16 | minor. The library speaks these and those between: 2.4, 3.0, 4.0, 4.1,
// 5.0, 5.1, 5.2, 5.3.
enum vmbus_version {
    VMBUS_2_4 = 0x00020004, // Windows Server 2012
    VMBUS_3_0 = 0x00030000,
    VMBUS_4_0 = 0x00040000,
    VMBUS_4_1 = 0x00040001,
    VMBUS_5_0 = 0x00050000,
    VMBUS_5_1 = 0x00050001,
    VMBUS_5_2 = 0x00050002,
    VMBUS_5_3 = 0x00050003,
    VMBUS_NEWEST = VMBUS_5_3,
};

enum {
    VMBUS_SINT = 2,
    VMBUS_VECTOR = 0x52,
    VMBUS_MOST_OFFERS = 64,        // that are kept; further ones are not seen
    VMBUS_MOST_RELIDS = 2048,      // a relid is the number of an event flag, so it is below this
    VMBUS_MOST_RING_PAGES = 1024,  // of data, in one direction
    VMBUS_MOST_GPADL_PAGES = 8190, // so that all ranges fit in 65535 bytes
};

// A device that the host offers. It stays valid, and where it is, until vmbus_disconnect.
struct vmbus_offer {
    struct guid interface; // what it is for
    struct guid instance;  // which one of its kind
    uint32_t relid;        // 1 to 2047; 0: this place of the list is free
    uint32_t connection;   // what HvSignalEvent is called with
    uint16_t flags;
    uint16_t sub_channel; // 0: the device itself
    uint8_t user[8];      // the first bytes of what the device says of itself
    bool is_dedicated;    // the connection is this channel's own
    bool is_open;
    volatile bool is_rescinded;
};

// --- the bus ---

// Sets up hypercall page and SynIC of this VP, agrees on the newest version not above
// `newest` that the host speaks, and waits for the list of offers.
enum vmbus_outcome vmbus_connect(uint32_t newest);

// The version that was agreed on, or 0.
uint32_t vmbus_version(void);

// Offer number `nth`, from 0, of those with this interface that are there; NULL if there is none.
// A NULL interface is any. Offers may come and go at any time that a function of this library
// waits.
const struct vmbus_offer *vmbus_find_offer(const struct guid *interface, uint32_t nth);

// Every open channel is to be closed before. The host forgets the guest and its memory.
enum vmbus_outcome vmbus_disconnect(void);

// --- memory for the host ---

// The host may use `page_count` pages from the page-aligned `memory` on, until the teardown; a
// GPADL is how it names them. The number by which devices know it is in `ret`.
enum vmbus_outcome vmbus_gpadl_create(uint32_t relid, const void *memory, uint32_t page_count,
                                      uint32_t *ret);

// The memory is the guest's alone again when this returns VMBUS_OK.
enum vmbus_outcome vmbus_gpadl_teardown(uint32_t relid, uint32_t gpadl);

// --- channels ---

// Where the rings go: page-aligned memory of (1 + to_host_pages) + (1 + from_host_pages) pages. A
// ring is one page of indices and at least one, at most VMBUS_MOST_RING_PAGES pages of data; of
// those 8 bytes always stay free.
struct vmbus_rings {
    void *memory;
    uint32_t to_host_pages;   // of data
    uint32_t from_host_pages; // of data
};

// An open channel. The fields are the library's.
struct vmbus_channel {
    struct vmbus_offer *offer;
    struct mhv_ring to_host;
    struct mhv_ring from_host;
    uint32_t gpadl;
    bool is_masked; // the host was asked not to signal
};

// `offer` may be NULL, which is VMBUS_NO_OFFER. The rings are zeroed, lent to the host, and the
// host signals this VP.
enum vmbus_outcome vmbus_open(struct vmbus_channel *channel, const struct vmbus_offer *offer,
                              struct vmbus_rings rings);

// The rings are the guest's alone again; what lay in them unread, at either end, is lost. An offer
// that was rescinded is given back, and another may come in its place.
enum vmbus_outcome vmbus_close(struct vmbus_channel *channel);

// --- sending ---

enum vmbus_packet_kind {
    VMBUS_KIND_IN_BAND = 6,
    VMBUS_KIND_GPADL = 8,
    VMBUS_KIND_GPA_DIRECT = 9,
    VMBUS_KIND_COMPLETION = 11,
};

enum { VMBUS_WANTS_COMPLETION = 1 }; // of `flags`

// What a packet says besides its payload. The transaction id comes back in the completion.
struct vmbus_header {
    uint16_t kind;
    uint16_t flags;
    uint64_t transaction_id;
};

static const struct vmbus_header VMBUS_IN_BAND = {.kind = VMBUS_KIND_IN_BAND};

// A piece of a payload.
struct vmbus_part {
    const void *bytes;
    uint32_t byte_count;
};

enum { VMBUS_MOST_PARTS = 6 };

// The packet is in the ring, and the host is signalled if it may be asleep. VMBUS_FULL: nothing was
// written. VMBUS_INVALID: it is longer than the ring or than 512 KiB, so it never fits.
enum vmbus_outcome vmbus_send(struct vmbus_channel *channel, struct vmbus_header header,
                              const void *payload, uint32_t payload_bytes);

// The same for a payload of up to VMBUS_MOST_PARTS pieces, which are not joined before.
enum vmbus_outcome vmbus_send_parts(struct vmbus_channel *channel, struct vmbus_header header,
                                    const struct vmbus_part *parts, uint32_t part_count);

// Many packets at the price of one signal: vmbus_queue writes, and the host sees nothing of it
// until vmbus_publish. A full ring is to be published, too, before vmbus_wait_room.
enum vmbus_outcome vmbus_queue(struct vmbus_channel *channel, struct vmbus_header header,
                               const void *payload, uint32_t payload_bytes);
enum vmbus_outcome vmbus_publish(struct vmbus_channel *channel);

// A packet whose data stays where it is: the host reads or writes `memory` itself. The header's
// kind is VMBUS_KIND_GPA_DIRECT. VMBUS_INVALID: it touches more than VMBUS_MOST_DIRECT_PAGES pages.
enum { VMBUS_MOST_DIRECT_PAGES = 257 };
enum vmbus_outcome vmbus_queue_direct(struct vmbus_channel *channel, struct vmbus_header header,
                                      struct vmbus_part memory, struct vmbus_part payload);

// Waits until a payload of `payload_bytes` fits; VMBUS_GONE or VMBUS_CORRUPT end the wait.
enum vmbus_outcome vmbus_wait_room(struct vmbus_channel *channel, uint32_t payload_bytes);

// Waits until the host has read all that was sent.
enum vmbus_outcome vmbus_wait_drained(struct vmbus_channel *channel);

// --- receiving ---

// A packet that was received; `payload` points into the caller's buffer, where the host cannot
// change it any more.
struct vmbus_packet {
    struct vmbus_header header;
    uint8_t *payload;
    uint32_t payload_bytes; // a multiple of 8: the ring does not know the exact length
};

// The next packet is copied to `buffer`, checked there, and is gone from the ring. The buffer is a
// multiple of 8, and 16 bytes larger than the longest payload, for the header. While packets come
// the host is asked not to signal; with VMBUS_EMPTY it is asked to signal again, and the ring was
// looked at once more after that, so that nothing is missed: receive until then. VMBUS_TOO_LONG:
// `payload_bytes` says how large the buffer must be.
enum vmbus_outcome vmbus_receive(struct vmbus_channel *channel, void *buffer, uint32_t buffer_bytes,
                                 struct vmbus_packet *ret);

// Idles until a packet is there to receive (VMBUS_OK), or the channel is at its end. Call it after
// VMBUS_EMPTY.
enum vmbus_outcome vmbus_wait(struct vmbus_channel *channel);

// Idles until any interrupt, of whatever channel, has been handled. For guests that serve several
// channels: receive from each until VMBUS_EMPTY, then call this, then look again.
void vmbus_idle(void);

#endif
