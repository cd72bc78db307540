// The messages of the integration services, which lie in message pipes (lib/pipe.h).
//
// Twin: minihv/spec/integration.py has the same layouts.
#ifndef GUESTS_INTEGRATION_MESSAGES_H
#define GUESTS_INTEGRATION_MESSAGES_H
#include <stdint.h>

enum ic_message_type {
    IC_NEGOTIATE = 0,
    IC_HEARTBEAT = 1,
    IC_KVP = 2,
    IC_SHUTDOWN = 3,
    IC_TIME_SYNC = 4,
};

enum ic_flag {
    IC_TRANSACTION = 1 << 0,
    IC_REQUEST = 1 << 1,
    IC_RESPONSE = 1 << 2,
};

static const uint32_t IC_OK = 0;
static const uint32_t IC_FAIL = 0x80004005;
static const uint32_t IC_NO_MORE_ITEMS = 0x80070103; // or no such key

struct ic_version {
    uint16_t major, minor;
};

struct ic_header {
    struct ic_version framework;
    uint16_t message_type;
    struct ic_version message;
    uint16_t body_bytes;
    uint32_t status;
    uint8_t transaction_id;
    uint8_t flags;
    uint16_t reserved;
};

// Frameworks first, then messages: that many versions follow.
struct ic_negotiate {
    uint16_t framework_count, message_count;
    uint32_t reserved;
};

struct ic_heartbeat {
    uint64_t sequence; // comes back one larger
    uint32_t application_state;
    uint32_t reserved[7];
};

enum { IC_APPLICATIONS_HEALTHY = 1 };

struct ic_shutdown {
    uint32_t reason;
    uint32_t timeout_seconds;
    uint32_t flags;
    uint16_t text[1024];
};

enum ic_shutdown_flag { IC_SHUTDOWN_FORCE = 1 << 0, IC_SHUTDOWN_RESTART = 1 << 1 };

// Versions 1.0 and 3.0.
struct __attribute__((packed)) ic_time {
    uint64_t parent_time; // 100 ns since 1601-01-01 UTC
    uint64_t child_time;
    uint64_t round_trip;
    uint8_t flags;
};

// Version 4.0.
struct __attribute__((packed)) ic_time_reference {
    uint64_t parent_time;
    uint64_t reference_time; // of the child, at that moment
    uint8_t flags;
    uint8_t leap;
    uint8_t stratum;
    uint8_t reserved[3];
};

enum ic_time_flag { IC_TIME_SYNC_NOW = 1 << 0, IC_TIME_SAMPLE = 1 << 1 };

enum kvp_operation { KVP_GET = 0, KVP_SET = 1, KVP_DELETE = 2, KVP_ENUMERATE = 3 };

enum kvp_pool {
    KVP_POOL_EXTERNAL = 0, // the host writes it
    KVP_POOL_AUTO = 2,     // facts of the guest
};

enum { KVP_TYPE_STRING = 1 };
enum { KVP_KEY_BYTES = 512, KVP_VALUE_BYTES = 2048 };

struct kvp_header {
    uint8_t operation;
    uint8_t pool;
    uint16_t reserved;
};

// A pair. Text is UTF-16 with a zero at its end, which the sizes count.
struct kvp_record {
    uint32_t type;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint8_t key[KVP_KEY_BYTES];
    uint8_t value[KVP_VALUE_BYTES];
};

// Get and set.
struct kvp_exchange {
    struct kvp_header header;
    struct kvp_record record;
};

struct kvp_enumerate {
    struct kvp_header header;
    uint32_t index;
    struct kvp_record record;
};

struct kvp_delete {
    struct kvp_header header;
    uint32_t key_bytes;
    uint8_t key[KVP_KEY_BYTES];
};

_Static_assert(sizeof(struct ic_header) == 20, "");
_Static_assert(sizeof(struct ic_negotiate) == 8, "");
_Static_assert(sizeof(struct ic_heartbeat) == 40, "");
_Static_assert(sizeof(struct ic_shutdown) == 2060, "");
_Static_assert(sizeof(struct ic_time) == 25, "");
_Static_assert(sizeof(struct ic_time_reference) == 22, "");
_Static_assert(sizeof(struct kvp_exchange) == 2576, "");
_Static_assert(sizeof(struct kvp_enumerate) == 2580, "");
_Static_assert(sizeof(struct kvp_delete) == 520, "");

#endif
