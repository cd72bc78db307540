// Exceptions and interrupts, as the program that takes them sees them.
#ifndef GUESTS_TRAPS_H
#define GUESTS_TRAPS_H
#include <stdbool.h>
#include <stdint.h>

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
};

enum {
    ERROR_IN_IDT = 2
}; // bit 1 of an error code that names a selector: it is a vector of the IDT

// The stack of a handler, from the lowest address up: what trap_stubs.S pushed, then the processor.
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error_code; // 0 where the processor pushes none
    uint64_t rip, cs, rflags, rsp, ss;
};

// A handler may change the frame; it is what IRETQ and the registers return to.
typedef void trap_handler(struct trap_frame *frame);

// Without a handler a trap ends the attempt it happens in, or else the partition with status 2.
void set_trap_handler(uint8_t vector, trap_handler *handler);

// What ended an attempt.
struct trap {
    bool taken;
    uint64_t cr2;
    uint64_t frame_gva; // where the frame was, so which stack
    struct trap_frame frame;
};

// Calls body(argument) in ring 0; the first trap without a handler ends it wherever it happens, in
// ring 3 too. Attempts do not nest.
struct trap attempt(void (*body)(uint64_t), uint64_t argument);

struct expected_trap {
    uint8_t vector;
    uint64_t error_code;
    uint64_t rip; // what the frame shall hold; 0: not looked at
};

// One line of the console: the vector by its mnemonic, and the error code.
bool expect_trap(const char *name, const struct trap *actual, struct expected_trap expected);

// Prints "#PF" for 14; a number where there is no mnemonic.
void print_vector(uint64_t vector);

#endif
