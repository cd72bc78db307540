// Lies that a guest can tell in its own rings, each of which costs it a channel.
#ifndef HOSTILE_LIES_H
#define HOSTILE_LIES_H
#include "lib/vmbus.h"

struct lie {
    const char *name;
    const struct guid *interface; // on whose channel it is told
    void (*tell)(struct vmbus_channel *channel);
};

enum { LIE_COUNT = 6 };

extern const struct lie LIES[LIE_COUNT];

#endif
