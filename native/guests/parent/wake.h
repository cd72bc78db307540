// What wakes the parent: its synthetic interrupt sources, its timer, and the doorbell.
//
// Spec: TLFS, "Synthetic Interrupt Controller", "Synthetic Timers".
#ifndef PARENT_WAKE_H
#define PARENT_WAKE_H
#include "lib/synic.h"
#include <stdint.h>

// Events that wait, as bits: the vector is WAKE_VECTOR and the number of the bit. A source of the
// SynIC has the bit of its number.
enum wake_source {
    WAKE_INTERCEPT = 0, // SINT 0: a child's VP waits for its worker
    WAKE_TIMER = 1,     // SINT 1: time for a tick
    WAKE_MESSAGE = 2,   // SINT 2: a child posted a VMBus message
    WAKE_EVENT = 3,     // SINT 3: a child signalled a channel
    WAKE_DOORBELL = 15, // somebody outside left orders
};

enum { WAKE_VECTOR = 0x40, WAKE_COUNT = 16 };

// The SynIC is on, and the four sources above lead to their vectors.
void wake_begin(void);

// What `vector` stands for waits.
void wake_note(uint64_t vector);

// What waits, as bits; nothing waits afterwards.
uint32_t wake_take(void);

// Waits for an event, with interrupts on for that long.
void wake_idle(void);

// A timer message comes when the reference counter of this partition reaches `when`, once, and none
// that was to come before; 0: none at all.
void wake_at(uint64_t when);

// The message in the slot of `source`, or NULL; it is not taken out.
const struct synic_message *wake_message(enum wake_source source);

// The slot of `source` is free for the next message.
void wake_release(enum wake_source source);

// Moves the numbers of the event flags of `source` to `numbers`, which has SINT_FLAG_COUNT places;
// how many there are.
uint32_t wake_flags(enum wake_source source, uint32_t *numbers);

#endif
