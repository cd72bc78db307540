// Delivery of exceptions and interrupts through the guest's IDT: in long mode, and what follows
// when it fails.
//
// Stands for: the processor's interrupt microcode; the engine delivers no exception by itself.
// Spec: AMD APM vol. 2, "Long-Mode Interrupt Control Transfers"; Intel SDM vol. 3A, "Exception and
//       Interrupt Handling in 64-bit Mode" and "Interrupt 8 - Double Fault Exception (#DF)".
// Simplified: accessed bits of code descriptors are not set; RF is pushed as 0, as the engine would
// show it to PUSHF for too long, and there
//             are no breakpoints for it to hide.

#include "deliver.h"

#include <string.h>

enum {
    GATE_INTERRUPT = 0xE,
    GATE_TRAP = 0xF,
    TSS_RSP0 = 4,
    TSS_IST1 = 36,
};

struct gate {
    uint64_t target;
    uint32_t selector;
    uint32_t ist;
    uint32_t type;
    uint32_t dpl;
    bool present;
};

bool mhv_is_canonical(const struct mhv_silicon *silicon, uint64_t gva)
{
    const int spare = silicon->cr[4] & CR4_LA57 ? 7 : 16;
    return (uint64_t)((int64_t)(gva << spare) >> spare) == gva;
}

// Step 1 and 2: the gate of the vector.
static struct trouble read_gate(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                                const struct delivery *delivery, uint32_t external,
                                struct gate *gate)
{
    const uint32_t error_code = delivery->vector * 8u + ERROR_IDT + external;
    uint64_t raw[2];
    struct touch touch;

    if (delivery->vector * 16u + 15 > silicon->idtr.limit)
        return fault(MHV_VECTOR_GP, error_code);
    if (!mhv_guest_read(processor, silicon, silicon->idtr.base + UINT64_C(16) * delivery->vector,
                        SYSTEM_READ, raw, 16, &touch))
        return page_fault(&touch);
    *gate = (struct gate){
        .target = (raw[0] & 0xFFFF) | (raw[0] >> 32 & 0xFFFF0000) | raw[1] << 32,
        .selector = raw[0] >> 16 & 0xFFFF,
        .ist = raw[0] >> 32 & 7,
        .type = raw[0] >> 40 & 0x1F,
        .dpl = raw[0] >> 45 & 3,
        .present = raw[0] >> 47 & 1,
    };
    if (gate->type != GATE_INTERRUPT && gate->type != GATE_TRAP)
        return fault(MHV_VECTOR_GP, error_code);
    if (delivery->type == DELIVER_SOFTWARE && gate->dpl < mhv_cpl(silicon))
        return fault(MHV_VECTOR_GP, error_code);
    return gate->present ? NO_TROUBLE : fault(MHV_VECTOR_NP, error_code);
}

struct trouble mhv_read_descriptor(struct mhv_processor *processor,
                                   const struct mhv_silicon *silicon, uint32_t selector,
                                   struct trouble beyond_limit, uint32_t raw[2])
{
    const struct mhv_silicon_segment *table =
        selector & SELECTOR_TI ? &silicon->ldtr : &silicon->gdtr;
    const uint32_t index = selector & 0xFFF8;
    struct touch touch;

    if (index + 7 > table->limit)
        return beyond_limit;
    if (!mhv_guest_read(processor, silicon, table->base + index, SYSTEM_READ, raw, 8, &touch))
        return page_fault(&touch);
    return NO_TROUBLE;
}

struct trouble mhv_read_handler_code(struct mhv_processor *processor,
                                     const struct mhv_silicon *silicon, uint32_t selector,
                                     uint32_t external, uint32_t raw[2])
{
    const uint32_t error_code = (selector & 0xFFFC) + external;
    const uint32_t kind = DESCRIPTOR_S | DESCRIPTOR_CODE;

    if ((selector & 0xFFFC) == 0)
        return fault(MHV_VECTOR_GP, external);
    const struct trouble trouble =
        mhv_read_descriptor(processor, silicon, selector, fault(MHV_VECTOR_GP, error_code), raw);
    if (trouble.is_trouble)
        return trouble;
    if ((raw[1] & kind) != kind || (raw[1] >> 13 & 3) > mhv_cpl(silicon))
        return fault(MHV_VECTOR_GP, error_code);
    return raw[1] & DESCRIPTOR_P ? NO_TROUBLE : fault(MHV_VECTOR_NP, error_code);
}

// Step 3: the code segment that the gate names, which has to be one of 64 bits.
static struct trouble read_code_segment(struct mhv_processor *processor,
                                        const struct mhv_silicon *silicon, const struct gate *gate,
                                        uint32_t external, struct mhv_silicon_segment *code)
{
    uint32_t raw[2];
    const struct trouble trouble =
        mhv_read_handler_code(processor, silicon, gate->selector, external, raw);

    if (trouble.is_trouble)
        return trouble;
    if (!(raw[1] & DESCRIPTOR_L) || raw[1] & DESCRIPTOR_B)
        return fault(MHV_VECTOR_GP, (gate->selector & 0xFFFC) + external);
    *code = (struct mhv_silicon_segment){
        .selector = handler_selector(silicon, gate->selector, raw),
        .base = 0,
        .limit = 0xFFFFFFFF,
        .flags = raw[1],
    };
    return NO_TROUBLE;
}

// Step 4: the stack: one of the IST, or RSPn of the TSS when the ring changes, or the same.
static struct trouble choose_stack(struct mhv_processor *processor,
                                   const struct mhv_silicon *silicon, const struct gate *gate,
                                   uint32_t new_cpl, uint32_t external, uint64_t *rsp)
{
    const uint32_t offset = gate->ist ? TSS_IST1 + 8 * (gate->ist - 1) : TSS_RSP0 + 8 * new_cpl;
    struct touch touch;

    *rsp = silicon->gpr[MHV_RSP];
    if (gate->ist == 0 && new_cpl == mhv_cpl(silicon))
        return NO_TROUBLE;
    if (offset + 7 > silicon->tr.limit)
        return fault(MHV_VECTOR_TS, (silicon->tr.selector & 0xFFFC) + external);
    if (!mhv_guest_read(processor, silicon, silicon->tr.base + offset, SYSTEM_READ, rsp, 8, &touch))
        return page_fault(&touch);
    return mhv_is_canonical(silicon, *rsp) ? NO_TROUBLE : fault(MHV_VECTOR_SS, external);
}

// Step 5: SS, RSP, RFLAGS, CS, RIP and the error code, on a 16-byte boundary.
static struct trouble push_frame(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                                 const struct delivery *delivery, uint32_t new_cpl,
                                 uint32_t external, uint64_t *rsp)
{
    const uint64_t frame[6] = {
        delivery->error_code,
        delivery->type == DELIVER_SOFTWARE ? delivery->next_rip : silicon->rip,
        silicon->segments[MHV_CS].selector,
        mhv_silicon_rflags(silicon) & ~(uint64_t)RFLAGS_RF,
        silicon->gpr[MHV_RSP],
        silicon->segments[MHV_SS].selector,
    };
    const uint32_t skipped = delivery->has_error_code ? 0 : 1, byte_count = 8 * (6 - skipped);
    struct mhv_access access = SYSTEM_WRITE;
    struct touch touch;

    access.user = new_cpl == 3; // a handler in ring 3 has a stack of ring 3
    access.implicit = new_cpl != 3;
    *rsp = (*rsp & ~UINT64_C(15)) - byte_count;
    if (!mhv_is_canonical(silicon, *rsp))
        return fault(MHV_VECTOR_SS, external);
    if (!mhv_guest_write(processor, silicon, *rsp, access, frame + skipped, byte_count, &touch))
        return page_fault(&touch);
    return NO_TROUBLE;
}

// Step 6: the registers, once nothing can fail any more.
static void enter_handler(struct mhv_silicon *silicon, const struct gate *gate,
                          struct mhv_silicon_segment code, uint64_t rsp)
{
    const uint32_t new_cpl = code.selector & 3;
    uint64_t rflags = mhv_silicon_rflags(silicon) & ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF);

    if (gate->type == GATE_INTERRUPT)
        rflags &= ~(uint64_t)RFLAGS_IF;
    mhv_silicon_set_rflags(silicon, rflags);
    silicon->gpr[MHV_RSP] = rsp;
    silicon->rip = gate->target;
    if (new_cpl != mhv_cpl(silicon))
        mhv_silicon_load_segment(
            silicon, MHV_SS,
            (struct mhv_silicon_segment){.selector = new_cpl, .flags = new_cpl << 13});
    code.flags = (code.flags & ~(uint32_t)(3 << 13)) | new_cpl << 13;
    mhv_silicon_load_segment(silicon, MHV_CS, code);
    silicon->hflags &= ~(uint32_t)MHV_HF_INHIBIT;
}

static struct trouble deliver_long(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                   const struct delivery *delivery)
{
    const uint32_t external = external_bit(delivery);
    struct mhv_silicon_segment code;
    struct gate gate;
    uint64_t rsp;
    struct trouble trouble = read_gate(processor, silicon, delivery, external, &gate);

    if (!trouble.is_trouble)
        trouble = read_code_segment(processor, silicon, &gate, external, &code);
    if (!trouble.is_trouble && !mhv_is_canonical(silicon, gate.target))
        trouble = fault(MHV_VECTOR_GP, external);
    if (trouble.is_trouble)
        return trouble;
    const uint32_t new_cpl = code.selector & 3;
    trouble = choose_stack(processor, silicon, &gate, new_cpl, external, &rsp);
    if (!trouble.is_trouble)
        trouble = push_frame(processor, silicon, delivery, new_cpl, external, &rsp);
    if (!trouble.is_trouble)
        enter_handler(silicon, &gate, code, rsp);
    return trouble;
}

static struct trouble deliver_once(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                   const struct delivery *delivery)
{
    if (silicon->hflags & MHV_HF_LMA)
        return deliver_long(processor, silicon, delivery);
    return silicon->hflags & MHV_HF_PE ? mhv_deliver_protected(processor, silicon, delivery)
                                       : mhv_deliver_real(processor, silicon, delivery);
}

static bool is_contributory(uint8_t vector)
{
    return vector == MHV_VECTOR_DE || (vector >= MHV_VECTOR_TS && vector <= MHV_VECTOR_GP);
}

// "Interrupt 8": which second fault makes a double fault of the first.
static bool makes_double_fault(const struct delivery *first, uint8_t second)
{
    if (first->type != DELIVER_EXCEPTION)
        return false;
    if (first->vector == MHV_VECTOR_PF)
        return second == MHV_VECTOR_PF || is_contributory(second);
    return is_contributory(first->vector) && is_contributory(second);
}

// A second-level violation stops the delivery; EXITINTINFO keeps it for the hypervisor to inject
// again.
static enum next leave_delivery(struct mhv_processor *processor, struct mhv_vp *vp,
                                const struct delivery *delivery, const struct touch *touch)
{
    const uint64_t error =
        delivery->has_error_code ? UINT64_C(1) << 11 | (uint64_t)delivery->error_code << 32 : 0;

    mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_NPF,
             touch->result.error_code | UINT64_C(1) << (touch->result.on_table ? 33 : 32),
             touch->result.gpa);
    vp->vmcb->control.exit_interrupt_info =
        delivery->vector | (uint64_t)delivery->type << 8 | UINT64_C(1) << 31 | error;
    return NEXT_EXIT;
}

static struct delivery after_trouble(struct mhv_silicon *silicon, const struct delivery *first,
                                     const struct trouble *trouble)
{
    struct delivery second = {.vector = trouble->vector,
                              .type = DELIVER_EXCEPTION,
                              .has_error_code = true,
                              .error_code = trouble->error_code};

    if (trouble->is_page_fault) {
        second.error_code = trouble->touch.result.error_code;
        second.cr2 = trouble->touch.gva;
        if (trouble->touch.result.outcome == MHV_NOT_CANONICAL) {
            second.vector = MHV_VECTOR_GP;
            second.error_code = 0;
        }
    }
    if (makes_double_fault(first, second.vector))
        second = (struct delivery){
            .vector = MHV_VECTOR_DF, .type = DELIVER_EXCEPTION, .has_error_code = true};
    if (trouble->is_page_fault && trouble->touch.result.outcome == MHV_PAGE_FAULT)
        silicon->cr[2] = trouble->touch.gva;
    return second;
}

static void count_delivery(struct mhv_processor *processor, struct mhv_vp *vp,
                           const struct delivery *delivery, uint64_t rip)
{
    const uint32_t kind =
        delivery->type == DELIVER_INTERRUPT ? MHV_TRACE_INTERRUPT : MHV_TRACE_EXCEPTION;

    mhv_tell(vp, processor->blocks, kind, rip, delivery->vector, delivery->error_code,
             delivery->cr2);
    if (delivery->type == DELIVER_INTERRUPT)
        vp->counters.interrupts++;
    else if (delivery->vector < 32)
        vp->counters.exceptions[delivery->vector]++;
}

// NEXT_EXIT: a triple fault (SHUTDOWN) or a second-level violation.
enum next mhv_deliver(struct mhv_processor *processor, struct mhv_vp *vp,
                      struct mhv_silicon *silicon, struct delivery delivery)
{
    if (delivery.type == DELIVER_EXCEPTION && delivery.vector == MHV_VECTOR_PF)
        silicon->cr[2] = delivery.cr2;
    const uint64_t rip = silicon->rip;
    for (;;) {
        const struct trouble trouble = deliver_once(processor, silicon, &delivery);
        if (!trouble.is_trouble) {
            count_delivery(processor, vp, &delivery, rip);
            return NEXT_GO_ON;
        }
        if (trouble.is_page_fault && trouble.touch.result.outcome == MHV_VIOLATION)
            return leave_delivery(processor, vp, &delivery, &trouble.touch);
        const bool was_double =
            delivery.type == DELIVER_EXCEPTION && delivery.vector == MHV_VECTOR_DF;
        const struct delivery second = after_trouble(silicon, &delivery, &trouble);
        if (was_double && (second.vector == MHV_VECTOR_PF || is_contributory(second.vector))) {
            mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_SHUTDOWN, 0, 0);
            return NEXT_EXIT;
        }
        delivery = second;
    }
}

// An exception of the current instruction: an exit if the hypervisor intercepts it, else the
// guest's. A page fault that shadow paging hands on was an exit already, and ring -1 injects it.
static enum next raise(struct mhv_processor *processor, struct mhv_vp *vp,
                       struct mhv_silicon *silicon, struct delivery delivery)
{
    const bool injected = vp->shadow && delivery.vector == MHV_VECTOR_PF;

    if (!injected && vp->vmcb->control.intercept_exceptions >> delivery.vector & 1) {
        mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_EXCP0 + delivery.vector, delivery.error_code,
                 delivery.cr2);
        return NEXT_EXIT;
    }
    return mhv_deliver(processor, vp, silicon, delivery);
}

enum next mhv_raise(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon,
                    uint8_t vector, bool has_error_code, uint32_t error_code)
{
    return raise(processor, vp, silicon,
                 (struct delivery){.vector = vector,
                                   .type = DELIVER_EXCEPTION,
                                   .has_error_code = has_error_code,
                                   .error_code = error_code});
}

// What follows from a refused access: #PF, #GP for an address that is not canonical, or #NPF.
enum next mhv_refuse(struct mhv_processor *processor, struct mhv_vp *vp,
                     struct mhv_silicon *silicon, const struct touch *touch)
{
    const struct mhv_walk_result *result = &touch->result;

    if (result->outcome == MHV_NOT_CANONICAL)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (result->outcome == MHV_PAGE_FAULT)
        return raise(processor, vp, silicon,
                     (struct delivery){.vector = MHV_VECTOR_PF,
                                       .type = DELIVER_EXCEPTION,
                                       .has_error_code = true,
                                       .error_code = result->error_code,
                                       .cr2 = touch->gva});
    const uint64_t offset = result->on_table ? 0 : touch->gva & (PAGE_BYTES - 1);
    mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_NPF,
             result->error_code | UINT64_C(1) << (result->on_table ? 33 : 32),
             (result->gpa & ~(uint64_t)(PAGE_BYTES - 1)) +
                 (result->on_table ? result->gpa & (PAGE_BYTES - 1) : offset));
    return NEXT_EXIT;
}
