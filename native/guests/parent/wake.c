// Programs the SynIC of VP 0, and reads its pages.
//
// It finds them by their names and not by GS, as lib/synic.c does: IRETQ to ring 3 forgets what GS
// leads to.

#include "parent/wake.h"
#include "lib/cpu.h"
#include "lib/hypercall.h"
#include <stddef.h>

enum { FLAG_WORDS = SINT_FLAG_COUNT / 64 };

static const uint64_t TIMER_AUTO_ENABLE = 1 << 3; // a count starts it, and 0 stops it

static struct synic synic;
static volatile uint32_t waiting;

void wake_begin(void)
{
    synic_enable(&synic);
    for (uint32_t source = WAKE_INTERCEPT; source <= WAKE_EVENT; source++)
        sint_set(source, (uint8_t)(WAKE_VECTOR + source), SINT_AUTO_EOI);
    wrmsr(MSR_STIMER0_CONFIG, (uint64_t)WAKE_TIMER << 16 | TIMER_AUTO_ENABLE);
}

void wake_note(uint64_t vector)
{
    waiting |= UINT32_C(1) << (vector - WAKE_VECTOR);
}

uint32_t wake_take(void)
{
    const uint32_t taken = waiting; // interrupts are off, and nobody else writes it

    waiting = 0;
    return taken;
}

void wake_idle(void)
{
    // STI takes effect behind the next instruction: an event before HLT ends it at once.
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void wake_at(uint64_t when)
{
    wrmsr(MSR_STIMER0_COUNT, when);
}

const struct synic_message *wake_message(enum wake_source source)
{
    const struct synic_message *slot = &synic.messages[source];

    return *(const volatile uint32_t *)&slot->type == MESSAGE_NONE ? NULL : slot;
}

void wake_release(enum wake_source source)
{
    struct synic_message *slot = &synic.messages[source];
    uint32_t type = MESSAGE_NONE;

    // A full barrier: whether more wait is read after the slot is free.
    __asm__ volatile("xchg %0, %1" : "+r"(type), "+m"(slot->type) : : "memory");
    if (slot->flags & MESSAGE_PENDING)
        wrmsr(MSR_EOM, 0);
}

uint32_t wake_flags(enum wake_source source, uint32_t *numbers)
{
    volatile uint64_t *flags = synic.flags[source];
    uint32_t count = 0;

    for (uint32_t word = 0; word < FLAG_WORDS; word++) {
        uint64_t set = 0;
        if (flags[word] == 0)
            continue;
        __asm__ volatile("xchg %0, %1" : "+r"(set), "+m"(flags[word]) : : "memory");
        for (; set != 0; set &= set - 1)
            numbers[count++] = word * 64 + (uint32_t)__builtin_ctzll(set);
    }
    return count;
}
