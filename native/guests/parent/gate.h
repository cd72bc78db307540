// The service gate: how the parent partition reaches device logic in Python. Twin of
// minihv/parent/gate.py and minihv/parent/orders.py, which say what each code means.
#ifndef PARENT_GATE_H
#define PARENT_GATE_H
#include <stdint.h>

static const uint64_t GATE_MAGIC = 0x4D48000000000000; // in RCX, with the code

enum gate_code {
    GATE_HELLO = 0,
    GATE_NEXT_ORDER = 1,
    GATE_ORDER_DONE = 2,
    GATE_INTERCEPT = 3,
    GATE_VMBUS_MESSAGE = 4,
    GATE_CHANNEL_EVENT = 5,
    GATE_TICK = 6,
    GATE_LOG = 7,
    GATE_WORKER_DIED = 8,
};

// What all but INTERCEPT and LOG answer: whether the desk holds an order.
enum gate_answer { GATE_NOTHING = 0, GATE_ORDER_WAITS = 1 };
static const uint64_t GATE_CRASHED = UINT64_C(1)
                                     << 33; // a device model went wrong, and so does its caller

// What is said at HELLO.
struct hello {
    uint64_t desk;         // GPA of struct desk
    uint64_t free_from;    // RAM from here on is not the kernel's
    uint64_t worker_count; // workers that there can be
    uint64_t ring_changes; // GPA of how often ring 0 was left and entered again, 8 bytes
};

// Asks for `code`; the argument is `byte_count` bytes at `argument`, which is its GPA too.
uint64_t gate(enum gate_code code, const void *argument, uint64_t byte_count);

// A line for the trace of the parent.
void gate_log(const char *text);

#endif
