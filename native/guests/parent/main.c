// The kernel of the parent partition: it waits for events, and serves them one after the other.
//
// It runs in ring 0 with interrupts off; they come while it is idle and while a worker runs in ring
// 3, and only note that something waits. VSPs are reached from ring 0, the logic of intercepts from
// the worker of the child.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/hypercall.h"
#include "lib/page_table.h"
#include "lib/traps.h"
#include "parent/gate.h"
#include "parent/orders.h"
#include "parent/user.h"
#include "parent/wake.h"
#include "parent/workers.h"
#include <stddef.h>

enum { PAGE = 4096, EXCEPTION_COUNT = 32, EXIT_PANIC = 3, RING_MASK = 3 };

static struct vp_area area;
static _Alignas(PAGE) uint8_t hypercall_page_place[PAGE];

static void on_exception(struct trap_frame *frame)
{
    if (frame->cs & RING_MASK)
        leave_user();
    print("The kernel of the parent met ");
    print_vector(frame->vector);
    print(" at ");
    print_hex(frame->rip);
    print(", CR2 ");
    print_hex(read_cr2());
    print("\n");
    shutdown(EXIT_PANIC);
}

static void on_wake(struct trap_frame *frame)
{
    wake_note(frame->vector);
    if (frame->cs & RING_MASK)
        leave_user();
}

static void serve_intercepts(void)
{
    const struct synic_message *message;

    // Where all buffers are in use the slot stays full; a worker that answers makes room.
    while ((message = wake_message(WAKE_INTERCEPT)) != NULL && worker_post(message))
        wake_release(WAKE_INTERCEPT);
}

static void serve_messages(void)
{
    const struct synic_message *message;

    while ((message = wake_message(WAKE_MESSAGE)) != NULL) {
        const struct synic_message copy = *message;
        wake_release(WAKE_MESSAGE);
        orders_run(gate(GATE_VMBUS_MESSAGE, &copy, sizeof(copy)));
    }
}

static void serve_events(void)
{
    static _Alignas(PAGE) uint32_t numbers[SINT_FLAG_COUNT];
    const uint32_t count = wake_flags(WAKE_EVENT, numbers);

    if (count != 0)
        orders_run(gate(GATE_CHANNEL_EVENT, numbers, count * sizeof(*numbers)));
}

static void serve_timer(void)
{
    if (wake_message(WAKE_TIMER) == NULL)
        return;
    wake_release(WAKE_TIMER);
    orders_run(gate(GATE_TICK, NULL, 0));
}

static void serve(uint32_t events)
{
    if (events & 1 << WAKE_EVENT)
        serve_events();
    if (events & 1 << WAKE_MESSAGE)
        serve_messages();
    if (events & 1 << WAKE_TIMER)
        serve_timer();
    if (events & 1 << WAKE_DOORBELL)
        orders_run(gate(GATE_NEXT_ORDER, NULL, 0));
}

static void catch_everything(void)
{
    descriptors_install(&area);
    for (uint32_t vector = 0; vector < EXCEPTION_COUNT; vector++)
        set_trap_handler((uint8_t)vector, on_exception);
    for (uint32_t vector = WAKE_VECTOR; vector < WAKE_VECTOR + WAKE_COUNT; vector++)
        set_trap_handler((uint8_t)vector, on_wake);
}

void guest_main(const struct boot_info *info)
{
    struct page_tables tables = page_tables_create(4, info->image_end);

    catch_everything();
    map_identity(&tables, info->memory_bytes);
    write_cr3(tables.root);
    const uint64_t free_from = workers_begin(&area, tables.root, tables.next_frame);
    hypercall_page_enable((uint64_t)hypercall_page_place);
    wake_begin();
    orders_begin(free_from);
    for (;;) {
        const uint32_t events = wake_take();
        serve(events);
        serve_intercepts();
        if (!workers_run() && events == 0)
            wake_idle();
    }
}
