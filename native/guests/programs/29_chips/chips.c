// Speaks to the chips of a PC by their ports, and to the screen by its memory.

#include "chips.h"
#include "lib/cpu.h"

enum { PIT_COUNTER_0 = 0x40, PIT_CONTROL = 0x43, PIT_RATE = 0x34, PIT_HZ = 1193182 };

void timer_every_millisecond(void)
{
    const uint16_t count = PIT_HZ / 1000;

    outb(PIT_CONTROL, PIT_RATE);
    outb(PIT_COUNTER_0, (uint8_t)count);
    outb(PIT_COUNTER_0, count >> 8);
}

enum { KEYBOARD_DATA = 0x60, KEYBOARD_COMMAND = 0x64, KEYBOARD_FULL = 1 };
enum { KEYBOARD_SELF_TEST = 0xAA, KEYBOARD_PUT = 0xD2 };

uint8_t keyboard_read(void)
{
    return inb(KEYBOARD_DATA);
}

uint8_t keyboard_self_test(void)
{
    outb(KEYBOARD_COMMAND, KEYBOARD_SELF_TEST);
    while (!(inb(KEYBOARD_COMMAND) & KEYBOARD_FULL))
        pause();
    return keyboard_read();
}

void keyboard_echo(uint8_t byte)
{
    outb(KEYBOARD_COMMAND, KEYBOARD_PUT);
    outb(KEYBOARD_DATA, byte);
}

enum { CLOCK_INDEX = 0x70, CLOCK_DATA = 0x71 };
enum clock_register { CLOCK_YEAR = 9, CLOCK_B = 0xB, CLOCK_C = 0xC, CLOCK_CENTURY = 0x32 };
enum { CLOCK_B_PERIODIC = 0x40 };

static uint8_t clock_read(enum clock_register number)
{
    outb(CLOCK_INDEX, (uint8_t)number);
    return inb(CLOCK_DATA);
}

static void clock_write(enum clock_register number, uint8_t value)
{
    outb(CLOCK_INDEX, (uint8_t)number);
    outb(CLOCK_DATA, value);
}

static uint32_t from_digits(uint8_t digits)
{
    return (digits >> 4) * 10u + (digits & 0xFu);
}

uint32_t clock_year(void)
{
    return from_digits(clock_read(CLOCK_CENTURY)) * 100 + from_digits(clock_read(CLOCK_YEAR));
}

void clock_begin_ticks(void)
{
    clock_write(CLOCK_B, clock_read(CLOCK_B) | CLOCK_B_PERIODIC);
}

void clock_end_ticks(void)
{
    clock_write(CLOCK_B, clock_read(CLOCK_B) & ~CLOCK_B_PERIODIC);
    clock_take_flags();
}

uint8_t clock_take_flags(void)
{
    return clock_read(CLOCK_C);
}

enum {
    SERIAL = 0x3F8,
    SERIAL_ENABLE = 1,
    SERIAL_IDENTIFY = 2,
    SERIAL_MODEM = 4,
    SERIAL_STATUS = 5
};
enum { SERIAL_SENT = 2, SERIAL_OUT2 = 8, SERIAL_LOOP = 0x10, SERIAL_READY = 1, SERIAL_ROOM = 0x20 };

void serial_begin(void)
{
    outb(SERIAL + SERIAL_MODEM, SERIAL_OUT2);
}

void serial_want_room(void)
{
    outb(SERIAL + SERIAL_ENABLE, 0);
    outb(SERIAL + SERIAL_ENABLE, SERIAL_SENT);
}

uint8_t serial_cause(void)
{
    return inb(SERIAL + SERIAL_IDENTIFY);
}

static void serial_send(uint8_t byte)
{
    while (!(inb(SERIAL + SERIAL_STATUS) & SERIAL_ROOM))
        pause();
    outb(SERIAL, byte);
}

void serial_print(const char *text)
{
    outb(SERIAL + SERIAL_ENABLE, 0);
    for (; *text != '\0'; text++)
        serial_send((uint8_t)*text);
}

uint8_t serial_loop(uint8_t byte)
{
    outb(SERIAL + SERIAL_MODEM, SERIAL_OUT2 | SERIAL_LOOP);
    serial_send(byte);
    while (!(inb(SERIAL + SERIAL_STATUS) & SERIAL_READY))
        pause();
    const uint8_t returned = inb(SERIAL);
    outb(SERIAL + SERIAL_MODEM, SERIAL_OUT2);
    return returned;
}

static const uint64_t SCREEN_GPA = 0xB8000;
enum { SCREEN_COLUMNS = 80, SCREEN_WHITE = 0x0700 };

void screen_print(uint32_t row, const char *text)
{
    volatile uint16_t *cell = (volatile uint16_t *)SCREEN_GPA + (uint64_t)row * SCREEN_COLUMNS;

    for (; *text != '\0'; text++)
        *cell++ = SCREEN_WHITE | (uint8_t)*text;
}
