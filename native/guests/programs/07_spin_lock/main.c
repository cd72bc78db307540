// All VPs add to the same counters, each in three ways that must not lose one addition.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/spin_lock.h"

enum { ADDITION_COUNT = 2000 };

static struct spin_lock lock;
static volatile uint32_t inside;    // VPs that hold the lock
static volatile uint32_t intruders; // times that another one was inside
static volatile uint64_t by_lock, by_xadd, by_cmpxchg;
static volatile uint32_t arrived_count, done_count;

static uint32_t add_locked(volatile uint32_t *counter, uint32_t amount)
{
    __asm__ volatile("lock xadd %1, %0" : "+r"(amount), "+m"(*counter) : : "memory", "cc");
    return amount;
}

static void add_under_lock(void)
{
    spin_lock_acquire(&lock);
    inside += 1;
    intruders += inside != 1;
    by_lock += 1;
    inside -= 1;
    spin_lock_release(&lock);
}

static void add_by_xadd(void)
{
    uint64_t amount = 1;
    __asm__ volatile("lock xadd %1, %0" : "+r"(amount), "+m"(by_xadd) : : "memory", "cc");
}

static void add_by_cmpxchg(void)
{
    uint64_t seen = by_cmpxchg;
    bool done;

    do {
        __asm__ volatile("lock cmpxchg %1, %3"
                         : "+a"(seen), "+m"(by_cmpxchg), "=@ccz"(done)
                         : "r"(seen + 1)
                         : "memory");
    } while (!done);
}

static void work(void)
{
    for (uint32_t i = 0; i < ADDITION_COUNT; i++) {
        add_under_lock();
        add_by_xadd();
        add_by_cmpxchg();
    }
    add_locked(&done_count, 1);
}

static void wait_for_all(volatile uint32_t *counter, uint32_t vp_count)
{
    while (*counter != vp_count)
        pause();
}

void other_vp_main(const struct boot_info *info, uint32_t vp_index)
{
    (void)vp_index;
    add_locked(&arrived_count, 1);
    wait_for_all(&arrived_count, info->vp_count);
    work();
}

void guest_main(const struct boot_info *info)
{
    const uint64_t expected = (uint64_t)info->vp_count * ADDITION_COUNT;

    add_locked(&arrived_count, 1);
    wait_for_all(&arrived_count, info->vp_count);
    work();
    wait_for_all(&done_count, info->vp_count);
    print("VPs: ");
    print_decimal(info->vp_count);
    print("\n");
    expect_equal("counted under the lock", by_lock, expected);
    expect_equal("VPs that came in meanwhile", intruders, 0);
    expect_equal("counted by LOCK XADD", by_xadd, expected);
    expect_equal("counted by LOCK CMPXCHG", by_cmpxchg, expected);
}
