// Into ring 3 and back, and the code that runs there.
#ifndef PARENT_USER_H
#define PARENT_USER_H
#include "lib/traps.h"
#include <stdint.h>

enum { VECTOR_SYSCALL = 256 }; // the vector in a frame that SYSCALL made

// Goes on with what `frame` holds, by IRETQ; returns when ring 3 came back, by whatever way. What
// it had in its registers is in the same frame again.
void enter_user(struct trap_frame *frame);

// From a trap handler on the stack of a worker: enter_user returns.
_Noreturn void leave_user(void);

// Where SYSCALL leads.
void syscall_entry(void);

// The end of the frame of the worker that runs; SYSCALL and TSS.RSP0 put its registers below.
extern uint64_t user_frame_end;

// What every worker runs. RBX: GPA of its mailbox; RBP: bytes of it.
extern const uint8_t worker_begin[];
extern const uint8_t user_text_begin[], user_text_end[]; // guest.ld

#endif
