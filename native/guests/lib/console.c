// The console: port 0xE9 takes one character at a time, and each OUT is an exit.

#include "lib/console.h"
#include "lib/cpu.h"
#include <stddef.h>

enum { DIGITS_OF_U64 = 20 };

static const struct console_way *other_way; // NULL: the port

void console_redirect(const struct console_way *way)
{
    other_way = way;
}

void console_flush(void)
{
    if (other_way)
        other_way->flush();
}

void print(const char *text)
{
    if (other_way) {
        other_way->write(text);
        return;
    }
    for (; *text != '\0'; text++)
        outb(PORT_CONSOLE, (uint8_t)*text);
}

static void print_in_base(uint64_t value, uint32_t base)
{
    char digits[DIGITS_OF_U64 + 1];
    uint32_t first = DIGITS_OF_U64;

    digits[first] = '\0';
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    print(&digits[first]);
}

void print_hex(uint64_t value)
{
    print("0x");
    print_in_base(value, 16);
}

void print_decimal(uint64_t value)
{
    print_in_base(value, 10);
}
