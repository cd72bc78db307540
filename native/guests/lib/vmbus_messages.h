// The control messages of VMBus, as they lie in the payload of a SynIC message of type 1.
//
// Every message begins with its number and a zero. Sizes are exact: a receiver may drop what is
// shorter.
//
// Twin: minihv/spec/vmbus.py has the same layouts.
#ifndef GUESTS_VMBUS_MESSAGES_H
#define GUESTS_VMBUS_MESSAGES_H
#include "lib/guid.h"
#include <stdint.h>

enum vmbus_message_number {
    VMBUS_OFFER_CHANNEL = 1,
    VMBUS_RESCIND_OFFER = 2,
    VMBUS_REQUEST_OFFERS = 3,
    VMBUS_ALL_OFFERS_DELIVERED = 4,
    VMBUS_OPEN_CHANNEL = 5,
    VMBUS_OPEN_RESULT = 6,
    VMBUS_CLOSE_CHANNEL = 7,
    VMBUS_GPADL_HEADER = 8,
    VMBUS_GPADL_BODY = 9,
    VMBUS_GPADL_CREATED = 10,
    VMBUS_GPADL_TEARDOWN = 11,
    VMBUS_GPADL_TORNDOWN = 12,
    VMBUS_RELID_RELEASED = 13,
    VMBUS_INITIATE_CONTACT = 14,
    VMBUS_VERSION_RESPONSE = 15,
    VMBUS_UNLOAD = 16,
    VMBUS_UNLOAD_RESPONSE = 17,
};

enum {
    GPADL_HEADER_PFNS = 26, // that fit behind the range in a GpadlHeader
    GPADL_BODY_PFNS = 28,
    OPEN_USER_BYTES = 120,
    OFFER_USER_BYTES = 120,
};

struct vmbus_head {
    uint32_t number;
    uint32_t zero;
};

// RescindChannelOffer, CloseChannel and RelIdReleased.
struct vmbus_relid_message {
    struct vmbus_head head;
    uint32_t relid;
};

struct vmbus_offer_message {
    struct vmbus_head head;
    struct guid interface;
    struct guid instance;
    uint32_t reserved[4];
    uint16_t flags;
    uint16_t mmio_megabytes;
    uint8_t user[OFFER_USER_BYTES];
    uint16_t sub_channel;
    uint16_t reserved_182;
    uint32_t relid;
    uint8_t monitor_id;
    uint8_t monitor_allocated;
    uint16_t dedicated_interrupt;
    uint32_t connection;
};

struct vmbus_open_message {
    struct vmbus_head head;
    uint32_t relid;
    uint32_t open_id;
    uint32_t gpadl;
    uint32_t target_vp;
    uint32_t from_host_page; // within the GPADL
    uint8_t user[OPEN_USER_BYTES];
};

// OpenChannelResult, and GpadlCreated with a GPADL in the place of the open id.
struct vmbus_result_message {
    struct vmbus_head head;
    uint32_t relid;
    uint32_t id;
    uint32_t status;
};

struct __attribute__((packed)) vmbus_gpadl_header {
    struct vmbus_head head;
    uint32_t relid;
    uint32_t gpadl;
    uint16_t range_bytes; // of all ranges
    uint16_t range_count;
    uint32_t byte_count; // of the one range, from here on
    uint32_t byte_offset;
    uint64_t pfns[GPADL_HEADER_PFNS];
};

struct vmbus_gpadl_body {
    struct vmbus_head head;
    uint32_t message_number;
    uint32_t gpadl;
    uint64_t pfns[GPADL_BODY_PFNS];
};

struct vmbus_gpadl_teardown {
    struct vmbus_head head;
    uint32_t relid;
    uint32_t gpadl;
};

struct vmbus_gpadl_torndown {
    struct vmbus_head head;
    uint32_t gpadl;
};

struct vmbus_initiate_contact {
    struct vmbus_head head;
    uint32_t version;
    uint32_t target_vp;
    uint64_t interrupt_page; // from 5.0 on: SINT, VTL, 2 bytes zero, feature flags
    uint64_t monitor_pages[2];
};

struct vmbus_version_response {
    struct vmbus_head head;
    uint8_t supported;
    uint8_t connection_state; // 0: it works
    uint16_t zero;
    uint32_t connection; // from 5.0 on: where messages go from now on
};

_Static_assert(sizeof(struct vmbus_relid_message) == 12, "");
_Static_assert(sizeof(struct vmbus_offer_message) == 196, "");
_Static_assert(sizeof(struct vmbus_open_message) == 148, "");
_Static_assert(sizeof(struct vmbus_result_message) == 20, "");
_Static_assert(sizeof(struct vmbus_gpadl_header) == 236, "");
_Static_assert(sizeof(struct vmbus_gpadl_body) == 240, "");
_Static_assert(sizeof(struct vmbus_initiate_contact) == 40, "");
_Static_assert(sizeof(struct vmbus_version_response) == 16, "");

#endif
