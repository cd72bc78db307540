#ifndef MINIHV_SYNIC_H
#define MINIHV_SYNIC_H
#include <stdint.h>

// The synthetic interrupt controller's memory and the parameter blocks of its hypercalls. Twin:
// minihv/spec/synic.py, held equal by tests/layouts/test_synic.py.

// TLFS, "SynIC Message Types", as far as an enumerator can hold it.
enum mhv_message_type {
    MHV_MESSAGE_TYPE_NONE = 0x00000000,
};

// Byte 5 of a slot. TLFS, "SynIC Message Flags".
enum mhv_message_flags_bit {
    MHV_MESSAGE_FLAGS_PENDING = 0,
};

// TLFS, "SynIC Messages".
struct mhv_message_slot {
    uint32_t type;         // 00: 0 when the slot is empty
    uint8_t payload_bytes; // 04
    uint8_t flags;         // 05
    uint16_t reserved_06;
    uint64_t origin;      // 08
    uint8_t payload[240]; // 10
};

// TLFS, "Synthetic Timer Expiration Messages".
struct mhv_timer_payload {
    uint32_t timer; // 00
    uint32_t reserved_04;
    uint64_t expiration_time; // 08
    uint64_t delivery_time;   // 10
};

// TLFS, "Port Types".
enum mhv_port_type {
    MHV_PORT_TYPE_MESSAGE = 1,
    MHV_PORT_TYPE_EVENT = 2,
    MHV_PORT_TYPE_MONITOR = 3,
};

// TLFS, "HV_PORT_PROPERTY_CODE".
enum mhv_port_property {
    MHV_PORT_PROPERTY_POST_COUNT = 0,
    MHV_PORT_PROPERTY_PREFERRED_TARGET_VP = 1,
};

// TLFS, "HV_PORT_INFO".
struct mhv_port_info {
    uint32_t type; // 00
    uint32_t reserved_04;
    uint32_t sint;       // 08
    uint32_t vp;         // 0C
    uint16_t base_flag;  // 10: of an event port
    uint16_t flag_count; // 12: of an event port
    uint32_t reserved_14;
};

// TLFS, "HV_CONNECTION_INFO".
struct mhv_connection_info {
    uint32_t type; // 00
    uint32_t reserved_04;
    uint64_t monitor_gpa; // 08
};

// TLFS, "HvCallCreatePort".
struct mhv_create_port_input {
    uint64_t port_partition; // 00
    uint32_t port_id;        // 08
    uint32_t reserved_0c;
    uint64_t connection_partition; // 10
    struct mhv_port_info info;     // 18
};

// TLFS, "HvCallConnectPort".
struct mhv_connect_port_input {
    uint64_t connection_partition; // 00
    uint32_t connection_id;        // 08
    uint32_t reserved_0c;
    uint64_t port_partition; // 10
    uint32_t port_id;        // 18
    uint32_t reserved_1c;
    struct mhv_connection_info info; // 20
};

// Of HvDeletePort and HvDisconnectPort.
struct mhv_port_input {
    uint64_t partition; // 00
    uint32_t id;        // 08
    uint32_t reserved_0c;
};

// Of HvGetPortProperty, without the value, and HvSetPortProperty.
struct mhv_port_property_input {
    uint64_t partition; // 00
    uint32_t port_id;   // 08
    uint32_t reserved_0c;
    uint32_t code; // 10
    uint32_t reserved_14;
    uint64_t value; // 18
};

// TLFS, "HvCallPostMessage".
struct mhv_post_message_input {
    uint32_t connection_id; // 00
    uint32_t reserved_04;
    uint32_t type;          // 08
    uint32_t payload_bytes; // 0C
    uint8_t payload[240];   // 10
};

// TLFS, "HvCallSignalEvent".
struct mhv_signal_event_input {
    uint32_t connection_id; // 00
    uint16_t flag;          // 04
    uint16_t reserved_06;
};

#endif
