// Test and test-and-set: XCHG is locked by itself, and the wait only reads.

#include "lib/spin_lock.h"
#include "lib/cpu.h"

void spin_lock_acquire(struct spin_lock *lock)
{
    for (;;) {
        uint32_t was_held = 1;
        __asm__ volatile("xchg %0, %1" : "+r"(was_held), "+m"(lock->held) : : "memory");
        if (was_held == 0)
            return;
        while (lock->held != 0)
            pause();
    }
}

void spin_lock_release(struct spin_lock *lock)
{
    __asm__ volatile(""
                     :
                     :
                     : "memory"); // what was written before stays before: stores keep their order
    lock->held = 0;
}
