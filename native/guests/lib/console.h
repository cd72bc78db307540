// Text for the people outside: through port 0xE9, one OUT a character, or through what was put in
// its place (lib/vmbus_console.h).
#ifndef GUESTS_CONSOLE_H
#define GUESTS_CONSOLE_H
#include <stdint.h>

void print(const char *text);
void print_hex(uint64_t value);     // 0x and as many digits as it needs
void print_decimal(uint64_t value); // unsigned

// Another way out.
struct console_way {
    void (*write)(const char *text);
    void (*flush)(void); // what was written is outside
};

// What is printed goes this way from now on; NULL: through the port again.
void console_redirect(const struct console_way *way);

// What was printed is outside: before a shutdown, which would lose it.
void console_flush(void);

#endif
