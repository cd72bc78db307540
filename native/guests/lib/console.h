// Text for the people outside, one port write a character.
#ifndef GUESTS_CONSOLE_H
#define GUESTS_CONSOLE_H
#include <stdint.h>

void print(const char *text);
void print_hex(uint64_t value);     // 0x and as many digits as it needs
void print_decimal(uint64_t value); // unsigned

#endif
