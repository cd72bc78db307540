#ifndef MINIHV_RING_H
#define MINIHV_RING_H
#include "minihv/status.h"
#include <stdbool.h>
#include <stdint.h>

// The ring of VMBus: one sender, one receiver, and no trust between them.
//
// The interface is stable: guests, VSPs, the benchmark and the tests are written against it. Each
// side has a `struct mhv_ring` of its own, which nobody else sees; ends of one ring that run at
// the same time should not have theirs in one cache line.
//
//   sender                                     receiver
//     mhv_ring_write, _write_batch               mhv_ring_read, _read_in_place, _read_batch
//     mhv_ring_commit_write -> signal?           mhv_ring_commit_read -> signal?
//     mhv_ring_await_room when FULL              mhv_ring_mask, mhv_ring_unmask before sleep
//
// Nothing is seen by the peer before a commit. `publish` is a commit without the decision to
// signal, for peers that poll; a later commit decides for all that was published since the last.

// The first page of a ring.
struct mhv_ring_control {
    uint32_t write_index;       // "in", the sender's
    uint32_t read_index;        // "out", the receiver's
    uint32_t interrupt_mask;    // the receiver's: not zero, it wants no signals
    uint32_t pending_send_size; // the sender's: it waits until more bytes than these are free
    uint8_t reserved_10[48];
    uint32_t features; // the sender's
    uint8_t reserved_44[4020];
    uint64_t guest_to_host_interrupts;
};

// The begin of a packet. Behind it: the rest of a header, payload, zeros up to a multiple of 8, and
// a trailer of 8 bytes.
struct mhv_packet_descriptor {
    uint16_t kind;
    uint16_t payload_offset8; // in units of 8 bytes, from the descriptor on
    uint16_t length8;         // the same, without the trailer
    uint16_t flags;
    uint64_t transaction_id;
};

struct mhv_transfer_pages_header {
    uint16_t kind;
    uint16_t payload_offset8;
    uint16_t length8;
    uint16_t flags;
    uint64_t transaction_id;
    uint16_t page_set_id;
    uint8_t sender_owns_set;
    uint8_t reserved_13;
    uint32_t range_count;
};

struct mhv_transfer_range {
    uint32_t byte_count_of_range;
    uint32_t byte_offset;
};

struct mhv_gpa_direct_header {
    uint16_t kind;
    uint16_t payload_offset8;
    uint16_t length8;
    uint16_t flags;
    uint64_t transaction_id;
    uint32_t reserved_10;
    uint32_t range_count;
};

// As many page numbers of 8 bytes follow as the range touches pages.
struct mhv_gpa_range {
    uint32_t byte_count_of_range;
    uint32_t byte_offset;
};

struct mhv_packet_trailer {
    uint32_t reserved_00;
    uint32_t begin_index; // where the packet began
};

// As in minihv.spec.vmbus_ring.
enum mhv_packet_kind {
    MHV_PACKET_KIND_SYNCHRONIZE = 1,
    MHV_PACKET_KIND_ADD_PAGE_SET = 2,
    MHV_PACKET_KIND_REMOVE_PAGE_SET = 3,
    MHV_PACKET_KIND_ESTABLISH_GPADL = 4,
    MHV_PACKET_KIND_TEARDOWN_GPADL = 5,
    MHV_PACKET_KIND_IN_BAND = 6,
    MHV_PACKET_KIND_TRANSFER_PAGES = 7,
    MHV_PACKET_KIND_GPADL = 8,
    MHV_PACKET_KIND_GPA_DIRECT = 9,
    MHV_PACKET_KIND_CANCEL = 10,
    MHV_PACKET_KIND_COMPLETION = 11,
    MHV_PACKET_KIND_ADDITIONAL_DATA = 12,
    MHV_PACKET_KIND_ADDITIONAL_GPA_DIRECT = 13,
};

// Numbers of bits.
enum mhv_packet_flags {
    MHV_PACKET_FLAGS_COMPLETION_REQUESTED = 0,
};
enum mhv_ring_features {
    MHV_RING_FEATURES_PENDING_SEND_SIZE = 0,
};

// How an operation ended.
enum mhv_ring_outcome {
    MHV_RING_OK = 0,
    MHV_RING_EMPTY = 1,    // nothing to read
    MHV_RING_FULL = 2,     // no room yet; detail: bytes needed, for mhv_ring_await_room
    MHV_RING_CORRUPT = 3,  // the peer broke the rules, and this end stays so; detail: the reason
    MHV_RING_SMALL = 4,    // the buffer is too small for the packet; detail: bytes needed
    MHV_RING_TOO_LONG = 5, // never to be written to this ring; detail: bytes needed
};

// Why a ring is corrupt.
enum mhv_ring_reason {
    MHV_RING_REASON_NONE = 0,
    MHV_RING_REASON_INDEX_MISALIGNED = 1, // the peer's index is no multiple of 8
    MHV_RING_REASON_INDEX_OUTSIDE = 2,    // it lies behind the data
    MHV_RING_REASON_INDEX_JUMPED = 3,     // it went back, or past this end's index
    MHV_RING_REASON_CUT_OFF = 4,          // what is there is no whole descriptor
    MHV_RING_REASON_KIND = 5,             // no kind of packet
    MHV_RING_REASON_FLAGS = 6,            // flags that nobody defined
    MHV_RING_REASON_PAYLOAD_OFFSET = 7,   // the payload begins inside the header
    MHV_RING_REASON_LENGTH = 8,           // the packet ends before its payload
    MHV_RING_REASON_OVERRUN = 9,          // it ends behind what is there
    MHV_RING_REASON_RANGE_COUNT = 10,     // no ranges
    MHV_RING_REASON_RANGE_OVERRUN = 11,   // ranges that reach into the payload
    MHV_RING_REASON_RANGE_OFFSET = 12,    // a range does not begin in its first page
};

struct mhv_ring_result {
    uint32_t outcome; // enum mhv_ring_outcome
    uint32_t detail;  // bytes needed, or enum mhv_ring_reason, else 0
};

// One end of a ring. All but the memory that it points to is private.
struct mhv_ring {
    struct mhv_ring_control *control; // shared
    uint8_t *data;                    // shared, in one piece; NULL when it is in pages
    uint8_t *const *pages;            // else where each page of it is
    uint32_t byte_count;              // of the data
    uint32_t position;                // where this end reads or writes next
    uint32_t published;               // what the peer may know of it
    uint32_t undecided;               // bytes of that, at most all, since signalling was decided on
    uint32_t peer;                    // the peer's index as it was last loaded, checked
    uint32_t pending;                 // sender: what pending_send_size has
    uint32_t reason;                  // not 0: corrupt
};

// A packet that was read; offsets are from the begin of the buffer.
struct mhv_ring_packet {
    uint64_t transaction_id;
    uint32_t offset;         // of the descriptor
    uint32_t payload_offset; // of the payload
    uint32_t payload_bytes;  // a multiple of 8: protocols say more exactly
    uint32_t range_count;    // of the header, when the kind has ranges: checked, all are inside
    uint16_t kind;
    uint16_t flags;
};

// What a packet is to say of itself.
struct mhv_ring_head {
    uint64_t transaction_id;
    uint16_t kind;
    uint16_t flags;
    uint32_t extension_bytes; // a multiple of 8: so much of the parts is header, not payload
};

// Bytes of a packet.
struct mhv_ring_part {
    const void *bytes;
    uint32_t byte_count;
};

// Many payloads: number n is bytes[offsets[n]] to bytes[offsets[n + 1]].
struct mhv_ring_batch {
    const uint8_t *bytes;
    const uint32_t *offsets;         // count + 1, ascending
    const uint64_t *transaction_ids; // count, or NULL: that of the head for all
    uint32_t count;
};

// Where many packets go.
struct mhv_ring_snapshot {
    uint8_t *bytes;
    struct mhv_ring_packet *packets;
    uint32_t capacity;        // bytes of `bytes`
    uint32_t packet_capacity; // elements of `packets`
    uint32_t count;           // how many there are now
};

// Makes the control page of a new ring, before anybody has attached to it.
void mhv_ring_clear(struct mhv_ring_control *control);

// An end at the begin of a new ring. `byte_count` of data is a multiple of 8 from 64 to 2^30, and
// of 4096 when the data is in `pages` (`data` is NULL then); else MHV_MISALIGNED or
// MHV_OUT_OF_REACH. Reads and writes nothing that is shared.
enum mhv_status mhv_ring_attach(struct mhv_ring *ring, struct mhv_ring_control *control,
                                uint8_t *data, uint8_t *const *pages, uint32_t byte_count);

// An end that goes on where another one stopped. Both are multiples of 8 below byte_count.
void mhv_ring_resume(struct mhv_ring *ring, uint32_t position, uint32_t peer);

// Sender. Puts one packet behind the last, its bytes gathered from `parts`: OK, FULL, TOO_LONG or
// CORRUPT. Nobody sees it yet.
struct mhv_ring_result mhv_ring_write(struct mhv_ring *ring, const struct mhv_ring_head *head,
                                      const struct mhv_ring_part *parts, uint32_t part_count);

// Sender. The same for each payload of `batch` until one does not fit; `ret`: how many did. OK when
// at least one did or there was none.
struct mhv_ring_result mhv_ring_write_batch(struct mhv_ring *ring, const struct mhv_ring_head *head,
                                            const struct mhv_ring_batch *batch, uint32_t *ret);

// Sender. Publishes what was written.
void mhv_ring_publish_write(struct mhv_ring *ring);

// Sender. Publishes what was written. Whether the receiver must be signalled: it had read
// everything before, and has not masked signals.
bool mhv_ring_commit_write(struct mhv_ring *ring);

// Sender, after FULL and a commit. OK: by now there is room for `needed` bytes. FULL: the receiver
// was asked to signal when there is. The next commit takes that back.
struct mhv_ring_result mhv_ring_await_room(struct mhv_ring *ring, uint32_t needed);

// Receiver. Copies the next packet to `buffer`, as it is in the ring, without the trailer: OK,
// EMPTY, SMALL or CORRUPT. The sender may not reuse its place before a commit.
struct mhv_ring_result mhv_ring_read(struct mhv_ring *ring, uint8_t *buffer, uint32_t capacity,
                                     struct mhv_ring_packet *packet);

// Receiver. The same, but a packet in one piece and without ranges stays where it is. `ret`: its
// first byte, in the ring or in the buffer, which `packet` counts from. In the ring, only the
// payload is worth looking at, once, and the sender can change it all the time.
struct mhv_ring_result mhv_ring_read_in_place(struct mhv_ring *ring, uint8_t *buffer,
                                              uint32_t capacity, struct mhv_ring_packet *packet,
                                              const uint8_t **ret);

// Receiver. Copies as much as fits in one go, and parses the copy, where each packet begins at its
// `offset`. OK with at least one packet (if `packet_capacity` is not 0), EMPTY, SMALL or CORRUPT.
struct mhv_ring_result mhv_ring_read_batch(struct mhv_ring *ring,
                                           struct mhv_ring_snapshot *snapshot);

// Receiver. Gives the room of what was read back to the sender.
void mhv_ring_publish_read(struct mhv_ring *ring);

// Receiver. Gives the room back. Whether the sender must be signalled: it waits for room, and this
// was what it waits for.
bool mhv_ring_commit_read(struct mhv_ring *ring);

// Receiver. Wants no signals: it is reading anyway.
void mhv_ring_mask(struct mhv_ring *ring);

// Receiver, before it sleeps. Wants signals again. Whether there is something to read already, for
// which there may be none: then it must not sleep.
bool mhv_ring_unmask(struct mhv_ring *ring);

// How many bytes are published and not read, by the indices now. For display; clamped, not checked.
uint32_t mhv_ring_used(const struct mhv_ring *ring);

#endif
