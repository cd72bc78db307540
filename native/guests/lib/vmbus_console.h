// The console over VMBus: a line costs a packet, and a signal only when the host had read all
// before.
#ifndef GUESTS_VMBUS_CONSOLE_H
#define GUESTS_VMBUS_CONSOLE_H
#include "lib/vmbus.h"

// From now on print() goes through the console channel, line by line; a line that is too long for
// its buffer goes in pieces. If the channel breaks, print() goes through the port again.
enum vmbus_outcome vmbus_console_open(void);

// What was typed outside: at most `capacity` bytes of it, without waiting. Returns how many; a
// message that does not fit is cut. Call it until it returns 0, and then sleep.
uint32_t vmbus_console_read(char *ret, uint32_t capacity);

// All that was printed has arrived, and print() goes through the port.
enum vmbus_outcome vmbus_console_close(void);

#endif
