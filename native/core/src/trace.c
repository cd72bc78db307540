// The trace of a VP: what happened, in order, for whoever reads it. Costs a comparison when nobody
// does.
//
// Stands for: a logic analyser on the pins of the processor.
// Simplified: exits, deliveries and world switches; neither walks nor instructions.

#include "inside.h"

enum { CAPACITY = sizeof((struct mhv_trace){0}.events) / sizeof(struct mhv_trace_event) };

void mhv_tell(struct mhv_vp *vp, uint64_t blocks, uint32_t kind, uint64_t rip, uint64_t a,
              uint64_t b, uint64_t c)
{
    struct mhv_trace *trace = vp->trace;

    if (!trace || trace->count == CAPACITY)
        return;
    trace->events[trace->count++] = (struct mhv_trace_event){.time = vp->time_base + blocks,
                                                             .rip = rip,
                                                             .a = a,
                                                             .b = b,
                                                             .c = c,
                                                             .kind = kind,
                                                             .vp_index = vp->index};
}

bool mhv_trace_is_full(const struct mhv_vp *vp)
{
    return vp->trace && vp->trace->count > CAPACITY - TRACE_MARGIN;
}
