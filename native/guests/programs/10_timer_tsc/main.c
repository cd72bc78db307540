// Reads both clocks: the TSC, and the hypervisor's count of 100 ns. Both are virtual time.

#include "lib/boot.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/hypercall.h"

enum { READ_COUNT = 1000, LOOP_COUNT = 100000 };

// The empty statement keeps the compiler from leaving the loop out.
static void spend_time(void)
{
    for (uint32_t i = 0; i < LOOP_COUNT; i++)
        __asm__ volatile("");
}

static uint64_t read_tsc(void)
{
    return rdtsc();
}

static uint64_t read_reference_counter(void)
{
    return rdmsr(MSR_TIME_REF_COUNT);
}

static uint32_t count_steps_back(uint64_t (*read)(void))
{
    uint32_t step_count = 0;
    uint64_t before = read();

    for (uint32_t i = 0; i < READ_COUNT; i++) {
        const uint64_t now = read();
        step_count += now < before;
        before = now;
    }
    return step_count;
}

static uint64_t ticks_of_loop(void)
{
    const uint64_t before = rdtsc();

    spend_time();
    return rdtsc() - before;
}

void guest_main(const struct boot_info *info)
{
    const uint64_t tsc = read_tsc(), reference = read_reference_counter();

    (void)info;
    expect_equal("times that the TSC went back", count_steps_back(read_tsc), 0);
    expect_equal("times that the reference counter went back",
                 count_steps_back(read_reference_counter), 0);
    ticks_of_loop();
    const uint64_t ticks = ticks_of_loop();
    expect_true("a loop takes time", ticks > 0);
    expect_true("the same loop takes the same time again", ticks_of_loop() == ticks);
    expect_true("the TSC went on", read_tsc() > tsc);
    expect_true("the reference counter went on", read_reference_counter() > reference);
    expect_true("the TSC is the finer clock",
                read_tsc() - tsc > read_reference_counter() - reference);
}
