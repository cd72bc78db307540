// The four synthetic timers of a VP. Times are reference time: 100 ns since the partition began.
//
// A timer that expires sends a message of type MESSAGE_TIMER_EXPIRED to its SINT, with a
// struct timer_message as its payload; in direct mode it raises a vector and sends nothing.
// Every function acts on the VP that calls it; `timer` is 0 to 3.
//
// Spec: TLFS, "Timers".
#ifndef GUESTS_TIMER_H
#define GUESTS_TIMER_H
#include <stdint.h>

enum { TIMER_COUNT = 4 };

// Bits of a timer's configuration.
enum timer_bit {
    TIMER_ENABLE = 1 << 0,
    TIMER_PERIODIC = 1 << 1,
    TIMER_LAZY = 1 << 2,        // may expire late where the VP would have to be woken for it
    TIMER_AUTO_ENABLE = 1 << 3, // a count other than 0 enables it
    TIMER_DIRECT = 1 << 12,
};

// The payload of its message.
struct timer_message {
    uint32_t timer;
    uint32_t reserved;
    uint64_t due;       // when it should have expired
    uint64_t delivered; // when the message was placed
};

uint64_t reference_time(void);

// Once, at `due` or as soon as it can be after it: a message to `sint`.
void timer_at(uint32_t timer, uint64_t due, uint32_t sint);

// Every `period`, beginning one from now: a message to `sint`.
void timer_every(uint32_t timer, uint64_t period, uint32_t sint);

// Once, at `due`: `vector` is raised, and needs apic_eoi().
void timer_direct_at(uint32_t timer, uint64_t due, uint8_t vector);

void timer_stop(uint32_t timer);

// Whether it is still to expire.
uint32_t timer_is_enabled(uint32_t timer);

#endif
