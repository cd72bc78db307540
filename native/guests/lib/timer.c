// Writes the two registers of a synthetic timer: what happens, then when.

#include "lib/timer.h"
#include "lib/cpu.h"
#include "lib/hypercall.h"

enum { SINT_SHIFT = 16, VECTOR_SHIFT = 4 };

uint64_t reference_time(void)
{
    return rdmsr(MSR_TIME_REF_COUNT);
}

// The count comes last and enables the timer: a timer that is enabled with no count stays silent.
static void set(uint32_t timer, uint64_t configuration, uint64_t count)
{
    wrmsr(MSR_STIMER0_CONFIG + 2 * timer, configuration | TIMER_AUTO_ENABLE);
    wrmsr(MSR_STIMER0_COUNT + 2 * timer, count);
}

void timer_at(uint32_t timer, uint64_t due, uint32_t sint)
{
    set(timer, (uint64_t)sint << SINT_SHIFT, due);
}

void timer_every(uint32_t timer, uint64_t period, uint32_t sint)
{
    set(timer, TIMER_PERIODIC | (uint64_t)sint << SINT_SHIFT, period);
}

void timer_direct_at(uint32_t timer, uint64_t due, uint8_t vector)
{
    set(timer, TIMER_DIRECT | (uint64_t)vector << VECTOR_SHIFT, due);
}

void timer_stop(uint32_t timer)
{
    wrmsr(MSR_STIMER0_COUNT + 2 * timer, 0);
}

uint32_t timer_is_enabled(uint32_t timer)
{
    return (rdmsr(MSR_STIMER0_CONFIG + 2 * timer) & TIMER_ENABLE) != 0;
}
