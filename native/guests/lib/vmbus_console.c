// Sends the console's lines down a message pipe.

#include "lib/vmbus_console.h"
#include "lib/console.h"
#include "lib/memory.h"
#include "lib/pipe.h"
#include <stddef.h>

enum { RING_PAGES = 1, LINE_BYTES = 128, INPUT_BYTES = 4096 };

static _Alignas(4096) uint8_t ring_memory[2 * (1 + RING_PAGES) * 4096];
static struct vmbus_channel channel;
static char line[LINE_BYTES + 1];
static uint32_t line_bytes;
static bool is_open;

static void give_up(void)
{
    is_open = false;
    console_redirect(NULL);
    line[line_bytes] = '\0';
    print(line);
    line_bytes = 0;
}

static void send_line(void)
{
    enum vmbus_outcome outcome = VMBUS_OK;

    if (line_bytes == 0)
        return;
    do {
        outcome = pipe_send(&channel, line, line_bytes);
    } while (outcome == VMBUS_FULL &&
             vmbus_wait_room(&channel, sizeof(struct pipe_header) + line_bytes) == VMBUS_OK);
    if (outcome == VMBUS_OK)
        line_bytes = 0;
    else
        give_up();
}

static void write(const char *text)
{
    for (; *text != '\0' && is_open; text++) {
        line[line_bytes++] = *text;
        if (*text == '\n' || line_bytes == LINE_BYTES)
            send_line();
    }
    if (!is_open)
        print(text); // the rest, through the port
}

static void flush(void)
{
    send_line();
    vmbus_wait_drained(&channel);
}

static const struct console_way way = {write, flush};

enum vmbus_outcome vmbus_console_open(void)
{
    const struct vmbus_rings rings = {ring_memory, RING_PAGES, RING_PAGES};
    const enum vmbus_outcome outcome =
        vmbus_open(&channel, vmbus_find_offer(&INTERFACE_CONSOLE, 0), rings);

    is_open = outcome == VMBUS_OK;
    if (is_open)
        console_redirect(&way);
    return outcome;
}

uint32_t vmbus_console_read(char *ret, uint32_t capacity)
{
    static _Alignas(8) uint8_t buffer[INPUT_BYTES];
    struct vmbus_packet packet;
    const uint8_t *text = NULL;
    uint32_t byte_count = 0;

    while (!text || byte_count == 0) {
        if (vmbus_receive(&channel, buffer, sizeof(buffer), &packet) != VMBUS_OK)
            return 0;
        text = pipe_message(&packet, &byte_count);
    }
    byte_count = byte_count < capacity ? byte_count : capacity;
    memcpy(ret, text, byte_count);
    return byte_count;
}

enum vmbus_outcome vmbus_console_close(void)
{
    flush();
    is_open = false;
    console_redirect(NULL);
    return vmbus_close(&channel);
}
