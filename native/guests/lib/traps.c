// Dispatches traps to the program's handlers, and unwinds attempts.

#include "lib/traps.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include <stddef.h>

static trap_handler *handlers[256];
static bool attempting;
static struct trap caught;

// attempt.S
extern uint64_t attempt_rsp;
extern const uint8_t attempt_unwound[];
void attempt_call(void (*body)(uint64_t), uint64_t argument);

void dispatch_trap(struct trap_frame *frame);

void set_trap_handler(uint8_t vector, trap_handler *handler)
{
    handlers[vector] = handler;
}

void print_vector(uint64_t vector)
{
    static const char mnemonics[20][4] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                          "#NM", "#DF", "",    "#TS", "#NP", "#SS", "#GP",
                                          "#PF", "",    "#MF", "#AC", "#MC", "#XM"};

    if (vector < 20 && mnemonics[vector][0] != '\0') {
        print(mnemonics[vector]);
    } else {
        print("vector ");
        print_hex(vector);
    }
}

static void print_trap(const struct trap_frame *frame)
{
    print_vector(frame->vector);
    print(", error code ");
    print_hex(frame->error_code);
}

static _Noreturn void report_unexpected(const struct trap_frame *frame)
{
    console_redirect(NULL); // whatever else there was may be what is broken
    print("FAILED  nobody expected ");
    print_trap(frame);
    print(" at ");
    print_hex(frame->rip);
    print(", CR2 ");
    print_hex(read_cr2());
    print("\n");
    shutdown(2);
}

void dispatch_trap(struct trap_frame *frame)
{
    trap_handler *handler = handlers[frame->vector];

    if (handler) {
        handler(frame);
        return;
    }
    if (!attempting)
        report_unexpected(frame);
    attempting = false;
    caught = (struct trap){true, read_cr2(), (uint64_t)frame, *frame};
    frame->rip = (uint64_t)attempt_unwound;
    frame->cs = SELECTOR_CODE0;
    frame->rflags = RFLAGS_FIXED;
    frame->rsp = attempt_rsp;
    frame->ss = SELECTOR_DATA0;
}

struct trap attempt(void (*body)(uint64_t), uint64_t argument)
{
    caught = (struct trap){.taken = false};
    attempting = true;
    attempt_call(body, argument);
    attempting = false;
    return caught;
}

bool expect_trap(const char *name, const struct trap *actual, struct expected_trap expected)
{
    const struct trap_frame *frame = &actual->frame;
    const bool at_rip = expected.rip == 0 || frame->rip == expected.rip;
    const bool holds = expect_begin(name, actual->taken && frame->vector == expected.vector &&
                                              frame->error_code == expected.error_code && at_rip);

    print(": ");
    if (actual->taken)
        print_trap(frame);
    else
        print("no trap");
    if (!holds) {
        print(", expected ");
        print_trap(
            &(struct trap_frame){.vector = expected.vector, .error_code = expected.error_code});
    }
    if (!at_rip) {
        print(", RIP ");
        print_hex(frame->rip);
        print(", expected ");
        print_hex(expected.rip);
    }
    print("\n");
    return holds;
}
