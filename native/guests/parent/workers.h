// Worker processes: ring 3, one for each child, with page tables of its own.
//
// A worker waits by SYSCALL for an intercept message, asks the gate what is to be done, and answers
// by SYSCALL with registers, which the kernel gives to the child's VP.
#ifndef PARENT_WORKERS_H
#define PARENT_WORKERS_H
#include "lib/descriptors.h"
#include "parent/wake.h"
#include <stdbool.h>
#include <stdint.h>

enum { WORKER_COUNT = 256 };

// How often ring 0 was left for a worker, and entered again.
extern uint64_t ring_changes;

// Workers lie in RAM from `frames` on, and share the kernel's half of the tables at `root`. Returns
// the end of their RAM.
uint64_t workers_begin(struct vp_area *area, uint64_t root, uint64_t frames);

// A worker for `child`; the GPA of its mailbox, or WORKER_NONE if there are WORKER_COUNT already.
uint64_t worker_start(uint64_t child);
static const uint64_t WORKER_NONE = 0xFFFF;

// The worker of `child` ends, and what waits for it is forgotten.
void worker_stop(uint64_t child);

// The message waits for the worker of the child that it came from. False: there is no room now.
bool worker_post(const struct synic_message *message);

// Lets the next worker that has something to do run until it answers or is interrupted. False:
// none.
bool workers_run(void);

#endif
