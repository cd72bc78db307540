// Ways into ring 3. The way back is a trap, or SYSCALL.
#ifndef GUESTS_RINGS_H
#define GUESTS_RINGS_H
#include <stdint.h>

// What ring 3 begins with; its RDI is `argument`.
struct ring3_state {
    uint64_t rip, rsp, rflags, argument;
};

// Both take the address of a struct ring3_state and do not return; they are bodies of an attempt.
void enter_ring3_by_iretq(uint64_t state_gva);
void enter_ring3_by_sysret(uint64_t state_gva);

// SYSCALL is enabled and leads to `entry` with the flags in `flag_mask` cleared.
void syscall_enable(void (*entry)(void), uint64_t flag_mask);

#endif
