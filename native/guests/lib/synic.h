// The synthetic interrupt controller (SynIC) of a VP: messages, event flags, and their interrupts.
//
// A VP has sixteen synthetic interrupt sources (SINTs). Each has a message slot of 256 bytes in one
// page (SIMP) and 2048 event flags in another (SIEFP); both are pages of the guest that it lends to
// the hypervisor, so reading them is no exit. A message or a flag raises the vector of its SINT.
//
// Every function acts on the VP that calls it.
//
// Spec: TLFS, "Virtual Interrupt Controller", "Inter-Partition Communication".
#ifndef GUESTS_SYNIC_H
#define GUESTS_SYNIC_H
#include "lib/hypercall.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    SINT_COUNT = 16,
    SINT_FLAG_COUNT = 2048,
    MESSAGE_PAYLOAD_BYTES = 240, // at most
};

// Bits of a SINT register above its vector (bits 7:0).
enum sint_bit {
    SINT_MASKED = 1 << 16,   // messages are placed, but raise no interrupt; event flags are refused
    SINT_AUTO_EOI = 1 << 17, // the interrupt is never in service: no EOI
    SINT_POLLING = 1 << 18,
};

enum message_type {
    MESSAGE_NONE = 0,
    MESSAGE_TIMER_EXPIRED = (int)0x80000010,
};

enum { MESSAGE_PENDING = 1 << 0 }; // of `flags`: a further message waits for the slot

// A message as it lies in its slot.
struct synic_message {
    uint32_t type; // 0: the slot is empty
    uint8_t payload_bytes;
    uint8_t flags;
    uint16_t reserved;
    uint64_t origin; // the partition or the port that it came from; 0 for timers
    uint8_t payload[MESSAGE_PAYLOAD_BYTES];
};

// What one VP lends to the hypervisor, and needs for as long as its SynIC is on.
struct synic {
    _Alignas(4096) struct synic_message messages[SINT_COUNT];
    _Alignas(4096) uint64_t flags[SINT_COUNT][SINT_FLAG_COUNT / 64];
    struct synic *self; // where GS leads to, so that a handler finds the pages of its VP
};

// The SynIC of this VP is on, with both pages in `synic`, empty. GS belongs to it from now on.
void synic_enable(struct synic *synic);

// It is off: nothing is delivered any more, and the pages are the guest's alone.
void synic_disable(void);

// What this VP gave to synic_enable.
struct synic *synic_here(void);

// SINT `sint`, 1 to 15, raises `vector`, 16 to 255, with the `bits` of enum sint_bit.
void sint_set(uint32_t sint, uint8_t vector, uint32_t bits);

// The message of `sint` is copied to `ret` and its slot is free for the next, which the hypervisor
// is told of if it waits. False: the slot is empty, and `ret` is untouched.
bool synic_read_message(uint32_t sint, struct synic_message *ret);

// What is done with an event flag, 0 to 2047.
typedef void synic_flag_handler(uint32_t flag);

// Each flag of `sint` that is set is cleared, then `each` is called with its number.
void synic_take_flags(uint32_t sint, synic_flag_handler *each);

// A message for a connection to a message port: `type` non-zero with bit 31 clear, at most 240
// bytes. One VP at a time. HV_INSUFFICIENT_BUFFERS: the receiver is behind, and it is to be tried
// again.
enum hypercall_status post_message(uint32_t connection, uint32_t type, const void *payload,
                                   uint32_t payload_bytes);

// Event flag `flag` of a connection to an event port.
enum hypercall_status signal_event(uint32_t connection, uint16_t flag);

#endif
