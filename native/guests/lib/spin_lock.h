// A lock that waits by looping: for the few instructions that two VPs must not run at once.
#ifndef GUESTS_SPIN_LOCK_H
#define GUESTS_SPIN_LOCK_H
#include <stdint.h>

struct spin_lock {
    volatile uint32_t held; // 0 or 1
};

void spin_lock_acquire(struct spin_lock *lock);
void spin_lock_release(struct spin_lock *lock);

#endif
