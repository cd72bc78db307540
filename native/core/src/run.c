// The run loop: enter the guest, take what stopped it, handle it or hand it to the hypervisor.
//
// Stands for: the processor between two exits, seen from ring -1.
// Spec: AMD APM vol. 2, "Secure Virtual Machine"; "Event Injection"; "Virtual Interrupts".
// Simplified: virtual NMIs are delivered at once and do not block each other.
//
// The engine stops only where its state is exact: at the start of a block, or on an instruction
// that trapped. Its registers are then copied to the VP's context, `silicon` below, changed there,
// and put back. In the order of a first reading: mhv_processor_run, go_on, mhv_handle.

#include "inside.h"

#include <string.h>

enum {
    V_IRQ = 1 << 8,
    V_IGNORE_TPR = 1 << 20,
    EVENT_VALID_BIT = 31,
    EVENT_ERROR_BIT = 11,
    INTERCEPT_VINTR = 1 << 4,
    PF_FETCH = 1 << 4,
};

static bool fetch_is_suspect(struct mhv_processor *processor, const struct mhv_silicon *silicon)
{
    const struct mhv_access access = {.kind = MHV_EXECUTE, .user = mhv_cpl(silicon) == 3};
    struct mhv_walk_result found;

    mhv_translate(processor, silicon, mhv_code_address(silicon, silicon->rip), access, &found);
    return found.outcome == MHV_MAPPED && found.spa < processor->ram.byte_count &&
           processor->memory->frame_flags[found.spa >> PAGE_SHIFT] & MHV_FRAME_SUSPECT;
}

static bool fill_in_address(struct mhv_processor *processor, struct touch *touch)
{
    uint64_t address;

    *touch = (struct touch){processor->event.fault, processor->event.fault_access,
                            processor->event.fault_page};
    memcpy(&address, (const char *)processor->engine + processor->invalid_address_offset,
           sizeof address);
    if ((address & ~(uint64_t)(PAGE_BYTES - 1)) == processor->event.fault_page)
        touch->gva = address;
    return true;
}

// A block that cannot be fetched takes its time too; else a handler that cannot would be entered
// for ever at no time. False: not in this budget.
static bool begin_unfetched(struct mhv_processor *processor)
{
    if (processor->blocks >= processor->limit)
        return false;
    processor->blocks++;
    return true;
}

static uint64_t exit_info_2(const struct mhv_processor *processor)
{
    const struct mhv_vmcb *effective =
        (const void *)(processor->ram.bytes + processor->stub_spa + PAGE_BYTES);

    return effective->control.exit_info_2;
}

// An exception that the engine found. Only with hardware paging is a page fault or a fetch from an
// address that is not canonical one of them.
static enum next handle_exception(struct mhv_processor *processor, struct mhv_vp *vp,
                                  struct mhv_silicon *silicon, uint8_t vector)
{
    const bool is_page_fault = vector == MHV_VECTOR_PF;
    const bool has_code = vector == MHV_VECTOR_DF || vector == MHV_VECTOR_AC ||
                          (vector >= MHV_VECTOR_TS && vector <= MHV_VECTOR_PF);
    struct touch touch = {.result = {.outcome = MHV_PAGE_FAULT, .error_code = silicon->error_code}};

    if (is_page_fault)
        touch.gva = exit_info_2(processor);
    const bool is_unfetched =
        is_page_fault ? silicon->error_code & PF_FETCH || touch.gva == silicon->rip
                      : vector == MHV_VECTOR_GP && !mhv_is_canonical(silicon, silicon->rip);
    if (is_unfetched && !begin_unfetched(processor))
        return NEXT_GO_ON;
    if (is_page_fault)
        return mhv_refuse(processor, vp, silicon, &touch);
    return mhv_raise(processor, vp, silicon, vector, has_code, silicon->error_code);
}

// An exception that the engine found, or an intercept.
static enum next handle_trap(struct mhv_processor *processor, struct mhv_vp *vp,
                             struct mhv_silicon *silicon)
{
    const uint32_t code = processor->event.trap < 256 ? MHV_SVM_EXIT_EXCP0 + processor->event.trap
                                                      : processor->event.trap - 256;
    const uint32_t requested_1 = vp->vmcb->control.intercept_instructions1;
    const uint32_t requested_2 = vp->vmcb->control.intercept_instructions2;

    if (code >= MHV_SVM_EXIT_EXCP0 && code < MHV_SVM_EXIT_EXCP0 + 32)
        return handle_exception(processor, vp, silicon, (uint8_t)(code - MHV_SVM_EXIT_EXCP0));
    if (mhv_is_shadow_exit(vp, code))
        return mhv_shadow_exit(processor, vp, silicon, code);
    if ((code == MHV_SVM_EXIT_CR8_READ && !(vp->vmcb->control.intercept_cr_read >> 8 & 1)) ||
        (code == MHV_SVM_EXIT_CR8_WRITE && !(vp->vmcb->control.intercept_cr_write >> 8 & 1)))
        return mhv_move_task_priority(processor, vp, silicon, code == MHV_SVM_EXIT_CR8_WRITE);
    if (code >= 0x10 && code < 0x20 && !(vp->vmcb->control.intercept_cr_write >> (code - 0x10) & 1))
        return mhv_move_control(processor, vp, silicon, code - 0x10);
    if (code >= 0x20 && code < 0x40)
        return mhv_move_debug(processor, vp, silicon);
    if (code == MHV_SVM_EXIT_SWINT && !(requested_1 >> (code - 0x60) & 1))
        return mhv_software_interrupt(processor, vp, silicon);
    if (code == MHV_SVM_EXIT_INVLPG && !(requested_1 >> (code - 0x60) & 1))
        return mhv_invalidate_page(processor, vp, silicon);
    if (code == MHV_SVM_EXIT_RDTSC && !(requested_1 >> (code - 0x60) & 1))
        return mhv_read_time(processor, vp, silicon);
    if (code >= MHV_SVM_EXIT_VMRUN && code <= MHV_SVM_EXIT_SKINIT &&
        !(requested_2 >> (code - MHV_SVM_EXIT_VMRUN) & 1))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_UD, false, 0);
    if (code == MHV_SVM_EXIT_NPF) {
        if (silicon->error_code & PF_FETCH && !begin_unfetched(processor))
            return NEXT_GO_ON;
        mhv_exit(vp, processor->blocks, code, silicon->error_code, exit_info_2(processor));
        return NEXT_EXIT;
    }
    return mhv_handle_exit(processor, vp, silicon, code);
}

enum next mhv_handle(struct mhv_processor *processor, struct mhv_vp *vp,
                     struct mhv_silicon *silicon)
{
    struct touch touch;

    switch (processor->event.kind) {
    case EVENT_BUDGET:
    case EVENT_WINDOW:
    case EVENT_STEPPED:
    case EVENT_PEEKED:
        return NEXT_GO_ON;
    case EVENT_WATCHED:
        return NEXT_WATCHED;
    case EVENT_TRAP:
        return handle_trap(processor, vp, silicon);
    case EVENT_FAULT:
        if (processor->event.fault_access.kind == MHV_EXECUTE && !begin_unfetched(processor))
            return NEXT_GO_ON;
        fill_in_address(processor, &touch);
        return mhv_refuse(processor, vp, silicon, &touch);
    case EVENT_FLIP:
        mhv_drop_blocks(processor, processor->event.frame);
        processor->blocks--; // the interrupted block goes on, it does not begin again
        return NEXT_GO_ON;
    case EVENT_EMULATE:
        processor->stepping_emulated = true;
        processor->blocks--;
        return NEXT_GO_ON;
    case EVENT_SUSPECT:
        processor->stepping_suspects = true;
        return NEXT_GO_ON;
    case EVENT_SYSCALL:
        silicon->gpr[MHV_RCX] = processor->aborted_rcx;
        return mhv_syscall(processor, vp, silicon);
    case EVENT_SYSENTER: // AMD processors have it in legacy mode only
        silicon->gpr[MHV_RCX] = processor->aborted_rcx;
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_UD, false, 0);
    case EVENT_PORT:
        return mhv_port(processor, vp, silicon);
    default:
        return NEXT_ENGINE;
    }
}

// EVENTINJ: taken over by the processor at the next entry, and cleared.
static enum next inject(struct mhv_processor *processor, struct mhv_vp *vp,
                        struct mhv_silicon *silicon)
{
    const uint64_t event = vp->vmcb->control.event_injection;
    const struct delivery delivery = {
        .vector = (uint8_t)event,
        .type = event >> 8 & 7,
        .has_error_code = event >> EVENT_ERROR_BIT & 1,
        .error_code = (uint32_t)(event >> 32),
        .cr2 = silicon->cr[2],
        .next_rip = vp->vmcb->control.next_rip,
    };

    if (!(event >> EVENT_VALID_BIT & 1))
        return NEXT_GO_ON;
    vp->vmcb->control.event_injection = 0;
    return mhv_deliver(processor, vp, silicon, delivery);
}

// V_IRQ: delivered as soon as the guest lets it in. stop_on_window makes the block hook watch for
// that.
enum next mhv_offer_interrupt(struct mhv_processor *processor, struct mhv_vp *vp,
                              struct mhv_silicon *silicon)
{
    const uint64_t virtual_interrupt = vp->vmcb->control.virtual_interrupt;
    const uint64_t priority = virtual_interrupt >> 16 & 15, tpr = virtual_interrupt & 15;
    const bool open =
        mhv_silicon_rflags(silicon) & RFLAGS_IF && !(silicon->hflags & MHV_HF_INHIBIT);

    processor->stop_on_window =
        virtual_interrupt & V_IRQ && (priority > tpr || virtual_interrupt & V_IGNORE_TPR);
    if (!processor->stop_on_window || !open)
        return NEXT_GO_ON;
    if (vp->vmcb->control.intercept_instructions1 & INTERCEPT_VINTR) {
        mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_VINTR, 0, 0);
        return NEXT_EXIT;
    }
    vp->vmcb->control.virtual_interrupt &= ~(uint64_t)V_IRQ;
    processor->stop_on_window = false;
    const enum next next = mhv_deliver(
        processor, vp, silicon,
        (struct delivery){.vector = (uint8_t)(virtual_interrupt >> 32), .type = DELIVER_INTERRUPT});
    return next == NEXT_GO_ON && vp->reports_delivery ? NEXT_DELIVERED : next;
}

// Puts the registers into the engine and lets it run until an event. False: the engine refused.
bool mhv_enter_and_leave(struct mhv_processor *processor, struct mhv_vp *vp,
                         struct mhv_silicon *silicon)
{
    const struct mhv_engine_api *api = &processor->api;
    uint64_t rflags = 0;

    processor->event.kind = EVENT_NONE;
    processor->guest = processor->one_stage = mhv_guest_paging(silicon);
    if (processor->missed && processor->guest.levels)
        mhv_drop_missed(processor);
    processor->one_stage.root = ROOT_UNKNOWN;
    processor->one_stage.physical_bits = 52; // shadow tables have no entry that is wrong
    processor->one_stage.nxe = processor->one_stage.wp = true;
    processor->epoch = (uint32_t)(processor->blocks >> 28) + 1;
    mhv_drop_stale(processor);
    const bool attentive =
        processor->step != STEP_NONE || processor->tlb || processor->stop_on_window || vp->watches;
    processor->stop_at = attentive ? 0 : processor->limit;
    processor->in_shadow = silicon->hflags & MHV_HF_INHIBIT;
    if (api->context_restore(processor->engine, vp->context) != MHV_UC_OK)
        return false;
    processor->engine_error = api->emu_start(processor->engine, silicon->rip, 0, 0, 0);
    if (api->context_save(processor->engine, vp->context) != MHV_UC_OK)
        return false;
    api->reg_read(processor->engine, MHV_UC_RFLAGS, &rflags);
    // RF hides breakpoints, of which there are none; the engine clears it only where a block ends.
    mhv_silicon_set_rflags(silicon, rflags & ~(uint64_t)RFLAGS_RF);
    return processor->event.kind != EVENT_NONE;
}

// The guard executes frames that could kill the engine one instruction at a time.
static bool go_on(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon)
{
    if (!processor->stepping_suspects && !processor->stepping_emulated)
        return mhv_enter_and_leave(processor, vp, silicon);
    const bool entered = mhv_step_once(processor, vp, silicon);
    if (processor->stepping_emulated) {
        processor->stepping_emulated = false;
        mhv_flush_tlb(processor);
        return entered;
    }
    if (!fetch_is_suspect(processor, silicon)) {
        processor->stepping_suspects = false;
        mhv_flush_tlb(processor);
    }
    return entered;
}

// Before anything runs: the VP's state is in the engine's hands, and what is pending is delivered.
enum next mhv_begin(struct mhv_processor *processor, struct mhv_vp *vp)
{
    processor->executing = true;
    processor->blocks = vp->counters.blocks;
    if (processor->vp != vp || vp->reload) {
        if (processor->vp && processor->vp != vp)
            mhv_vp_save(processor, processor->vp);
        processor->stepping_suspects = processor->stepping_emulated = false;
        processor->block_end = 0;
        if (!mhv_world_switch(processor, vp))
            return NEXT_ENGINE;
    }
    mhv_take_edits(vp);
    return inject(processor, vp, mhv_silicon_of(vp->context));
}

enum mhv_stop mhv_finish(struct mhv_processor *processor, struct mhv_vp *vp, enum next next)
{
    vp->counters.blocks = processor->blocks;
    mhv_publish(vp);
    processor->executing = false;
    return next == NEXT_EXIT        ? MHV_STOP_EXIT
           : next == NEXT_ENGINE    ? MHV_STOP_ENGINE
           : next == NEXT_WATCHED   ? MHV_STOP_WATCH
           : next == NEXT_DELIVERED ? MHV_STOP_DELIVERED
                                    : MHV_STOP_BUDGET;
}

enum mhv_stop mhv_processor_run(struct mhv_processor *processor, struct mhv_vp *vp,
                                uint64_t until_block)
{
    struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    enum next next = mhv_begin(processor, vp);
    bool goes_on = mhv_is_inside_block(processor, silicon);
    const uint64_t rip = silicon->rip;

    processor->limit = until_block;
    while (next == NEXT_GO_ON && processor->blocks < processor->limit && !mhv_trace_is_full(vp)) {
        next = mhv_offer_interrupt(processor, vp, silicon);
        if (next == NEXT_GO_ON && vp->watches && silicon->rip == vp->watched_rip)
            next = NEXT_WATCHED;
        if (next != NEXT_GO_ON)
            break;
        processor->blocks -= goes_on && silicon->rip == rip; // begun, and counted, by a step
        processor->block_end = 0;
        goes_on = false;
        next = go_on(processor, vp, silicon) ? mhv_handle(processor, vp, silicon) : NEXT_ENGINE;
    }
    return mhv_finish(processor, vp, next);
}

static enum mhv_stop complete_port(struct mhv_processor *processor, struct mhv_vp *vp)
{
    struct mhv_silicon *silicon = mhv_silicon_of(vp->context);

    if (processor->vp != vp || vp->reload) {
        if (mhv_begin(processor, vp) != NEXT_GO_ON)
            return MHV_STOP_ENGINE;
    }
    const enum next next = mhv_finish_port(processor, vp, silicon);
    mhv_publish(vp);
    return next == NEXT_EXIT ? MHV_STOP_EXIT : MHV_STOP_BUDGET;
}

enum mhv_stop mhv_vp_complete_port(struct mhv_processor *processor, struct mhv_vp *vp)
{
    processor->executing = true;
    const enum mhv_stop stop = complete_port(processor, vp);
    processor->executing = false;
    return stop;
}

// The paging of a VP whose registers are not the engine's: only its VMCB tells the truth.
static struct mhv_paging saved_paging(const struct mhv_vmcb_save *save)
{
    const struct mhv_silicon silicon = {
        .cr = {[0] = save->cr0, [3] = save->cr3, [4] = save->cr4},
        .efer = save->efer,
    };
    return mhv_guest_paging(&silicon);
}

void mhv_vp_translate(struct mhv_processor *processor, struct mhv_vp *vp, uint64_t gva,
                      const struct mhv_access *access, struct mhv_walk_result *ret)
{
    const bool loaded = processor->vp == vp && !vp->reload;
    const struct mhv_paging guest =
        loaded ? mhv_guest_paging(mhv_silicon_of(vp->context)) : saved_paging(&vp->vmcb->save);
    const struct mhv_paging second = mhv_second_paging(vp);

    processor->walker.walk(processor->walker.user, &guest, &second, gva, access, ret);
}
