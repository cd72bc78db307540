// The chips of a PC beside its interrupt controllers: timer, keyboard, clock, serial port, screen.
//
// Spec: Intel, "8254 Programmable Interval Timer"; IBM, "Personal System/2 Hardware Interface
// Technical Reference"; Motorola, "MC146818"; National Semiconductor, "PC16550D".
#ifndef GUESTS_CHIPS_H
#define GUESTS_CHIPS_H
#include <stdint.h>

// Its line rises 1000 times a second.
void timer_every_millisecond(void);

// What the controller answers when it is well: 0x55.
uint8_t keyboard_self_test(void);
uint8_t keyboard_read(void);

// The byte comes back as if a key had sent it.
void keyboard_echo(uint8_t byte);

// With ticks the line of the clock rises 1024 times a second, each time until the flags are taken.
enum { CLOCK_TICKED = 0x40 };
uint32_t clock_year(void);
void clock_begin_ticks(void);
void clock_end_ticks(void);
uint8_t clock_take_flags(void);

// The serial port: its line is high from serial_want_room(), as there is room for a byte, until
// serial_cause() has said so.
void serial_begin(void);
void serial_want_room(void);
uint8_t serial_cause(void);
void serial_print(const char *text);

// A byte goes out and comes in again, without leaving the chip.
uint8_t serial_loop(uint8_t byte);

// A line of the screen, from its left end on.
void screen_print(uint32_t row, const char *text);

#endif
