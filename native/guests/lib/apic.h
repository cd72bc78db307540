// The local APIC of the VP that calls: priorities, the end of an interrupt, interrupts to VPs.
//
// Spec: Intel SDM vol. 3A, "Extended XAPIC (x2APIC)"; TLFS, "Virtual Interrupt Controller".
#ifndef GUESTS_APIC_H
#define GUESTS_APIC_H
#include <stdint.h>

enum x2apic_msr {
    MSR_X2APIC_ID = 0x802,
    MSR_X2APIC_TPR = 0x808,
    MSR_X2APIC_EOI = 0x80B,
    MSR_X2APIC_SPURIOUS = 0x80F,
    MSR_X2APIC_ICR = 0x830,
    MSR_X2APIC_SELF_IPI = 0x83F,
};

enum { VECTOR_SPURIOUS = 0xFF };

// The APIC accepts interrupts and is spoken to by MSRs. Each VP calls it for itself, once.
void apic_enable(void);

// The interrupt of the highest priority in service has ended. Not for AutoEOI sources.
void apic_eoi(void);

// Vectors whose upper four bits are not above those of `priority` wait; 0 lets all in.
void apic_set_priority(uint8_t priority);

// `vector`, 16 to 255, is requested at the VP with that APIC id: its index, unless it was changed.
void apic_send(uint32_t apic_id, uint8_t vector);

// INIT: that VP goes back to its beginning, and waits. Not for VP 0.
void apic_send_init(uint32_t apic_id);

// A VP that waits so begins in real mode, at the first byte of the page at `page_gpa`, below 1 MiB.
void apic_send_startup(uint32_t apic_id, uint32_t page_gpa);

// The same, at the VP that calls.
void apic_send_self(uint8_t vector);

#endif
