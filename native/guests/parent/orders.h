// Orders: what Python asks the kernel to do, one at a time, on a desk of three pages.
#ifndef PARENT_ORDERS_H
#define PARENT_ORDERS_H
#include <stdint.h>

enum order_kind {
    ORDER_HYPERCALL = 1,    // make the hypercall `input_value` with `rdx` and `r8`
    ORDER_START_WORKER = 2, // a worker process for child `rdx`; the result is its mailbox's GPA
    ORDER_STOP_WORKER = 3,  // the worker of child `rdx` ends
    ORDER_TICK = 4,         // tick when the reference counter reaches `rdx`; 0: not at all
};

enum order_flag {
    ORDER_SILENT = 1, // the result is wanted only if it is a failure
    ORDER_LAST = 2,   // nothing follows
};

enum { DESK_PAGE_BYTES = 4096 };

struct order {
    uint32_t kind, flags;
    uint64_t input_value, rdx, r8;
    uint64_t result;
};

// `input` and `output` are for the parameters of hypercalls: RDX and R8 lead there.
struct desk {
    _Alignas(DESK_PAGE_BYTES) struct order order;
    _Alignas(DESK_PAGE_BYTES) uint8_t input[DESK_PAGE_BYTES];
    uint8_t output[DESK_PAGE_BYTES];
};

// Says hello: orders lie on the desk from now on, and RAM from `free_from` on is not the kernel's.
void orders_begin(uint64_t free_from);

// Carries out orders until none is left, if `gate_answer` says that one waits.
void orders_run(uint64_t gate_answer);

#endif
