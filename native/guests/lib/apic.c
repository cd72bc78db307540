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

enum { ICR_INIT = 5 << 8, ICR_STARTUP = 6 << 8, ICR_ASSERT = 1 << 14 };

void apic_send_init(uint32_t apic_id)
{
    wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t apic_id, uint32_t page_gpa)
{
    wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | ICR_STARTUP | ICR_ASSERT | page_gpa >> 12);
}
