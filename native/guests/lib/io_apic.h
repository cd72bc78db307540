// The I/O APIC: each pin becomes a message to a local APIC. Its page, at the same GVA as GPA, has
// to be mapped by whoever calls.
//
// Spec: Intel, "82093AA I/O Advanced Programmable Interrupt Controller (IOAPIC)", "I/O Redirection
// Table Registers".
#ifndef GUESTS_IO_APIC_H
#define GUESTS_IO_APIC_H
#include <stdint.h>

static const uint64_t IO_APIC_GPA = 0xFEC00000;

enum io_apic_trigger { IO_APIC_EDGE = 0, IO_APIC_LEVEL = 1 << 15 };

uint8_t io_apic_version(void);
uint32_t io_apic_pin_count(void);

// The pin raises `vector` at the VP with that APIC id.
void io_apic_route(uint32_t pin, uint8_t vector, enum io_apic_trigger trigger, uint8_t apic_id);

// The pin raises nothing.
void io_apic_mask(uint32_t pin);

#endif
