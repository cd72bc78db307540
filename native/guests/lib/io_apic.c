// Speaks to the I/O APIC by its two windows in memory, where each access is an exit.

#include "lib/io_apic.h"

enum { SELECT = 0, WINDOW = 0x10, VERSION = 1, ENTRIES = 0x10, MASKED = 1 << 16 };

static volatile uint32_t *window(uint32_t offset)
{
    return (volatile uint32_t *)(IO_APIC_GPA + offset);
}

static uint32_t read(uint32_t number)
{
    *window(SELECT) = number;
    return *window(WINDOW);
}

static void write(uint32_t number, uint32_t value)
{
    *window(SELECT) = number;
    *window(WINDOW) = value;
}

uint8_t io_apic_version(void)
{
    return (uint8_t)read(VERSION);
}

uint32_t io_apic_pin_count(void)
{
    return (read(VERSION) >> 16 & 0xFF) + 1;
}

void io_apic_route(uint32_t pin, uint8_t vector, enum io_apic_trigger trigger, uint8_t apic_id)
{
    io_apic_mask(pin);
    write(ENTRIES + 2 * pin + 1, (uint32_t)apic_id << 24);
    write(ENTRIES + 2 * pin, (uint32_t)trigger | vector);
}

void io_apic_mask(uint32_t pin)
{
    write(ENTRIES + 2 * pin, MASKED);
}
