// Speaks to the local APIC by the MSRs of x2APIC mode, each of which is an exit.

#include "lib/apic.h"
#include "lib/cpu.h"

enum {
    APIC_GLOBAL_ENABLE = 1 << 11, // of MSR_APIC_BASE
    APIC_X2APIC_MODE = 1 << 10,
    SPURIOUS_SOFTWARE_ENABLE = 1 << 8, // of MSR_X2APIC_SPURIOUS
};

void apic_enable(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_GLOBAL_ENABLE | APIC_X2APIC_MODE);
    wrmsr(MSR_X2APIC_SPURIOUS, SPURIOUS_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
}

void apic_eoi(void)
{
    wrmsr(MSR_X2APIC_EOI, 0);
}

void apic_set_priority(uint8_t priority)
{
    wrmsr(MSR_X2APIC_TPR, priority);
}

void apic_send(uint32_t apic_id, uint8_t vector)
{
    wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | vector);
}

void apic_send_self(uint8_t vector)
{
    wrmsr(MSR_X2APIC_SELF_IPI, vector);
}
