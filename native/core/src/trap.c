// What the engine reports while it executes: blocks, traps, port accesses, SYSCALL and SYSENTER.
//
// Stands for: the wires between the execution units and microcode.
// Simplified: none known.
//
// A hook never changes more than a fast exit needs. Everything else is written down as an event,
// the engine stops at a safe point, and the loop (run.c) handles the event with the whole state at
// hand.

#include "inside.h"

// An MSR outside every permission map: reading it inside a guest always ends in an MSR intercept.
// That is how a hook makes the engine abandon the instruction it is in the middle of, with nothing
// done.
enum { NO_SUCH_MSR = 0x0BAD0000 };

static void stop(struct mhv_processor *processor, enum event_kind kind)
{
    processor->event.kind = kind;
    processor->api.emu_stop(processor->engine);
}

static bool interrupts_enabled(struct mhv_processor *processor)
{
    uint64_t rflags = 0;

    processor->api.reg_read(processor->engine, MHV_UC_RFLAGS, &rflags);
    return rflags & RFLAGS_IF;
}

// Whether somebody waits for an instruction of the block that begins.
static bool is_watched(const struct mhv_processor *processor, uint64_t address, uint32_t byte_count)
{
    const struct mhv_vp *vp = processor->vp;

    return vp->watches && processor->step == STEP_NONE && vp->watched_rip - address < byte_count;
}

// The block hook looks closer: a step, a pending interrupt, a watched address, the end of the
// budget, or the stub.
static void look_closer(struct mhv_processor *processor, uint64_t address, uint32_t byte_count)
{
    if (processor->phase == PHASE_STUB) {
        processor->blocks--;
        processor->phase = PHASE_ENTERED; // the next block is the guest's, if it gets that far
        return;
    }
    enum event_kind kind = EVENT_NONE;
    if (processor->phase == PHASE_ENTERED || processor->blocks > processor->limit ||
        mhv_trace_is_full(processor->vp))
        kind = EVENT_BUDGET;
    else if (processor->step == STEP_PEEK)
        kind = EVENT_PEEKED;
    else if (processor->step == STEP_LAST)
        kind = EVENT_STEPPED;
    else if (processor->stop_on_window && processor->step == STEP_NONE && !processor->in_shadow &&
             interrupts_enabled(processor))
        kind = EVENT_WINDOW;
    else if (is_watched(processor, address, byte_count))
        kind = EVENT_WATCHED;
    if (kind == EVENT_NONE) {
        processor->in_shadow = false; // it ends with this block
        if (processor->step == STEP_FIRST)
            processor->step = STEP_LAST;
        if (processor->stepping_suspects ||
            processor->tlb) // so that the next instruction is not even translated
            mhv_flush_tlb(processor);
        return;
    }
    processor->blocks--; // it has not begun
    processor->event.block = address;
    processor->event.block_bytes = byte_count;
    stop(processor, kind);
}

void mhv_on_block(void *engine, uint64_t address, uint32_t byte_count, void *user)
{
    struct mhv_processor *processor = user;

    (void)engine;
    if (processor->blocks++ >= processor->stop_at)
        look_closer(processor, address, byte_count);
}

// Traps come as the engine's numbers: vectors below 256, and 256 + exit code for intercepts.
void mhv_on_trap(void *engine, uint32_t number, void *user)
{
    struct mhv_processor *processor = user;

    (void)engine;
    if (processor->aborting) { // the instruction is abandoned; `event` already says why
        processor->aborting = false;
        processor->api.emu_stop(processor->engine);
        return;
    }
    if (processor->phase == PHASE_GUEST && processor->step == STEP_NONE && number >= 256)
        if (mhv_exit_in_core(processor, processor->vp, number - 256))
            return;
    processor->event.trap = number;
    stop(processor, EVENT_TRAP);
}

// Does not return when it works: the engine unwinds to its loop and calls mhv_on_trap.
static void abandon(struct mhv_processor *processor, enum event_kind kind)
{
    struct {
        uint32_t number;
        uint64_t value;
    } msr = {NO_SUCH_MSR, 0};

    processor->api.reg_read(processor->engine, MHV_UC_RCX, &processor->aborted_rcx);
    processor->event.kind = kind;
    processor->aborting = true;
    processor->api.reg_read(processor->engine, MHV_UC_MSR, &msr);
}

uint32_t mhv_on_in(void *engine, uint32_t port, int byte_count, void *user)
{
    struct mhv_processor *processor = user;

    (void)engine;
    processor->vp->port_access = (struct mhv_port_access){.port = (uint16_t)port,
                                                          .byte_count = (uint8_t)byte_count,
                                                          .is_in = true,
                                                          .value = UINT32_MAX};
    abandon(processor, EVENT_PORT);
    return UINT32_MAX;
}

void mhv_on_out(void *engine, uint32_t port, int byte_count, uint32_t value, void *user)
{
    struct mhv_processor *processor = user;

    (void)engine;
    processor->vp->port_access = (struct mhv_port_access){
        .port = (uint16_t)port, .byte_count = (uint8_t)byte_count, .value = value};
    abandon(processor, EVENT_PORT);
}

void mhv_on_syscall(void *engine, void *user)
{
    (void)engine;
    abandon(user, EVENT_SYSCALL);
}

void mhv_on_sysenter(void *engine, void *user)
{
    (void)engine;
    abandon(user, EVENT_SYSENTER);
}
