// A pool of buffers, and queues of them.

#include "parent/intercepts.h"
#include <stddef.h>

enum { BUFFER_COUNT = 256 };

static struct intercept buffers[BUFFER_COUNT];
static struct intercept *unused;

void intercepts_begin(void)
{
    for (uint32_t i = 0; i < BUFFER_COUNT; i++) {
        buffers[i].next = unused;
        unused = &buffers[i];
    }
}

bool intercept_put(struct intercept_queue *queue, const struct synic_message *message)
{
    struct intercept *buffer = unused;

    if (buffer == NULL)
        return false;
    unused = buffer->next;
    buffer->message = *message;
    buffer->next = NULL;
    if (queue->first == NULL)
        queue->first = buffer;
    else
        queue->last->next = buffer;
    queue->last = buffer;
    return true;
}

bool intercept_take(struct intercept_queue *queue, struct synic_message *ret)
{
    struct intercept *buffer = queue->first;

    if (buffer == NULL)
        return false;
    *ret = buffer->message;
    queue->first = buffer->next;
    buffer->next = unused;
    unused = buffer;
    return true;
}
