// Intercept messages that wait for a worker: copies, so that the slot of the SynIC is free again.
#ifndef PARENT_INTERCEPTS_H
#define PARENT_INTERCEPTS_H
#include "parent/wake.h"
#include <stdbool.h>

struct intercept {
    struct intercept *next;
    struct synic_message message;
};

// First in, first out.
struct intercept_queue {
    struct intercept *first, *last;
};

void intercepts_begin(void);

// False: all buffers are in use.
bool intercept_put(struct intercept_queue *queue, const struct synic_message *message);

// Moves the oldest to `ret`. False: there is none.
bool intercept_take(struct intercept_queue *queue, struct synic_message *ret);

#endif
