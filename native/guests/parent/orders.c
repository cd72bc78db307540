// Carries out orders.

#include "parent/orders.h"
#include "lib/hypercall.h"
#include "parent/gate.h"
#include "parent/wake.h"
#include "parent/workers.h"
#include <stdbool.h>
#include <stddef.h>

enum { STATUS_MASK = 0xFFFF };

_Static_assert(offsetof(struct order, result) == 32, "minihv/parent/orders.py reads it there");
_Static_assert(offsetof(struct desk, output) == 8192, "minihv/parent/orders.py reads it there");

static struct desk desk;

static uint64_t carry_out(const struct order *order)
{
    switch (order->kind) {
    case ORDER_HYPERCALL:
        return hypercall(order->input_value, order->rdx, order->r8);
    case ORDER_START_WORKER:
        return worker_start(order->rdx);
    case ORDER_STOP_WORKER:
        worker_stop(order->rdx);
        return 0;
    case ORDER_TICK:
        wake_at(order->rdx);
        return 0;
    default:
        return HV_INVALID_HYPERCALL_CODE;
    }
}

// What a wild pointer of a driver in ring 0 does: nobody is below to end it but the exception
// handler.
static void crash(void)
{
    *(volatile uint64_t *)UINT64_C(0xFFFF800000000000);
}

void orders_begin(uint64_t free_from)
{
    const struct hello hello = {(uint64_t)&desk, free_from, WORKER_COUNT, (uint64_t)&ring_changes};

    orders_run(gate(GATE_HELLO, &hello, sizeof(hello)));
}

void orders_run(uint64_t gate_answer)
{
    struct order *order = &desk.order;

    while (gate_answer == GATE_ORDER_WAITS) {
        order->result = carry_out(order);
        const bool silent = order->flags & ORDER_SILENT && (order->result & STATUS_MASK) == 0;
        if (silent && order->flags & ORDER_LAST)
            return;
        gate_answer = gate(silent ? GATE_NEXT_ORDER : GATE_ORDER_DONE, NULL, 0);
    }
    if (gate_answer == GATE_CRASHED)
        crash();
}
