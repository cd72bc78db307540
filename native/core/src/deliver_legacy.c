// Delivery of exceptions and interrupts before long mode: in real mode and in protected mode.
//
// Stands for: the processor's interrupt microcode; the engine delivers no exception by itself.
// Spec: AMD APM vol. 2, "Real-Mode Interrupt Control Transfers" and "Legacy Protected-Mode
// Interrupt
//       Control Transfers"; Intel SDM vol. 2A, "INT n/INTO/INT3/INT1".
// Simplified: no task gates, no 16-bit TSS, no virtual-8086 mode (an exception there is a triple
//             fault); segment limits are not checked, but for those of tables and of the target.

#include "deliver.h"

enum {
    GATE_TRAP_BIT = 1, // of its type: the gate leaves IF as it is
    GATE_32_BIT = 8,
    TSS_ESP0 = 4,
    TSS_32_BIT_TYPES = 0xB, // with the busy bit
    MOST_PUSHED = 6,
};

// A stack on its way down: what is pushed is written at once, the stack pointer is not.
struct stack {
    struct mhv_silicon_segment segment;
    uint64_t pointer;
    uint64_t mask; // of the pointer: as wide as SS says
    bool user;
};

static struct stack stack_on(struct mhv_silicon_segment segment, uint64_t pointer, bool user)
{
    const uint64_t mask = segment.flags & DESCRIPTOR_B ? UINT32_MAX : UINT16_MAX;

    return (struct stack){segment, pointer, mask, user};
}

static bool push(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                 struct stack *stack, const uint32_t *values, uint32_t count, uint32_t byte_count,
                 struct touch *touch)
{
    struct mhv_access access = SYSTEM_WRITE;

    access.user = stack->user;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t below = (stack->pointer - byte_count) & stack->mask;
        const uint64_t address = (uint32_t)(stack->segment.base + below);
        if (!mhv_guest_write(processor, silicon, address, access, &values[i], byte_count, touch))
            return false;
        stack->pointer = (stack->pointer & ~stack->mask) | below;
    }
    return true;
}

// The flags that a handler begins with.
static void enter_with(struct mhv_silicon *silicon, uint64_t cleared)
{
    mhv_silicon_set_rflags(silicon, mhv_silicon_rflags(silicon) & ~cleared);
    silicon->hflags &= ~(uint32_t)MHV_HF_INHIBIT;
}

static uint32_t return_address(const struct mhv_silicon *silicon, const struct delivery *delivery)
{
    return (uint32_t)(delivery->type == DELIVER_SOFTWARE ? delivery->next_rip : silicon->rip);
}

// A vector is four bytes of a table: offset and segment. No error code, no privilege.
struct trouble mhv_deliver_real(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                const struct delivery *delivery)
{
    const uint32_t values[] = {(uint32_t)mhv_silicon_rflags(silicon),
                               silicon->segments[MHV_CS].selector,
                               return_address(silicon, delivery)};
    struct stack stack = stack_on(silicon->segments[MHV_SS], silicon->gpr[MHV_RSP], false);
    struct mhv_silicon_segment code = silicon->segments[MHV_CS];
    uint16_t target[2];
    struct touch touch;

    if (delivery->vector * 4u + 3 > silicon->idtr.limit)
        return fault(MHV_VECTOR_GP, 0);
    if (!mhv_guest_read(processor, silicon, silicon->idtr.base + delivery->vector * UINT64_C(4),
                        SYSTEM_READ, target, sizeof target, &touch) ||
        !push(processor, silicon, &stack, values, 3, 2, &touch))
        return page_fault(&touch);
    code.selector = target[1];
    code.base = (uint64_t)target[1] << 4;
    mhv_silicon_load_segment(silicon, MHV_CS, code);
    silicon->gpr[MHV_RSP] = stack.pointer;
    silicon->rip = target[0];
    enter_with(silicon, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    return NO_TROUBLE;
}

struct legacy_gate {
    uint32_t target;
    uint32_t selector;
    bool is_32_bit;
    bool is_trap;
};

// Step 1: the gate of the vector.
static struct trouble read_gate(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                                const struct delivery *delivery, struct legacy_gate *gate)
{
    const uint32_t code = delivery->vector * 8u + ERROR_IDT + external_bit(delivery);
    uint32_t raw[2];
    struct touch touch;

    if (delivery->vector * 8u + 7 > silicon->idtr.limit)
        return fault(MHV_VECTOR_GP, code);
    if (!mhv_guest_read(processor, silicon, silicon->idtr.base + delivery->vector * UINT64_C(8),
                        SYSTEM_READ, raw, sizeof raw, &touch))
        return page_fault(&touch);
    const uint32_t type = raw[1] >> 8 & 0x1F, dpl = raw[1] >> 13 & 3;
    *gate = (struct legacy_gate){
        .target = (raw[0] & 0xFFFF) | (raw[1] & 0xFFFF0000),
        .selector = raw[0] >> 16,
        .is_32_bit = type & GATE_32_BIT,
        .is_trap = type & GATE_TRAP_BIT,
    };
    if ((type & ~(uint32_t)(GATE_32_BIT | GATE_TRAP_BIT)) != 6)
        return fault(MHV_VECTOR_GP, code);
    if (delivery->type == DELIVER_SOFTWARE && dpl < mhv_cpl(silicon))
        return fault(MHV_VECTOR_GP, code);
    if (!gate->is_32_bit)
        gate->target &= 0xFFFF;
    return raw[1] & DESCRIPTOR_P ? NO_TROUBLE : fault(MHV_VECTOR_NP, code);
}

static struct mhv_silicon_segment unpack(uint32_t selector, const uint32_t raw[2])
{
    const uint32_t limit = (raw[0] & 0xFFFF) | (raw[1] & 0xF0000);

    return (struct mhv_silicon_segment){
        .selector = selector,
        .base = raw[0] >> 16 | (raw[1] & 0xFF) << 16 | (raw[1] & 0xFF000000),
        .limit = raw[1] & DESCRIPTOR_G ? limit << 12 | 0xFFF : limit,
        .flags = raw[1],
    };
}

// Step 2: the code segment that the gate names, in which its target lies.
static struct trouble read_code(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                                const struct legacy_gate *gate, uint32_t external,
                                struct mhv_silicon_segment *code)
{
    uint32_t raw[2];
    const struct trouble trouble =
        mhv_read_handler_code(processor, silicon, gate->selector, external, raw);

    if (trouble.is_trouble)
        return trouble;
    *code = unpack(handler_selector(silicon, gate->selector, raw), raw);
    return gate->target <= code->limit ? NO_TROUBLE : fault(MHV_VECTOR_GP, external);
}

// Step 3: the stack: the same, or that of the TSS when the ring changes.
static struct trouble choose_stack(struct mhv_processor *processor,
                                   const struct mhv_silicon *silicon, uint32_t new_cpl,
                                   uint32_t external, struct stack *stack)
{
    const uint32_t offset = TSS_ESP0 + 8 * new_cpl, type = silicon->tr.flags >> 8 & 0xF;
    const uint32_t of_tss = (silicon->tr.selector & 0xFFFC) + external;
    uint32_t pointers[2], raw[2];
    struct touch touch;

    *stack = stack_on(silicon->segments[MHV_SS], silicon->gpr[MHV_RSP], new_cpl == 3);
    if (new_cpl == mhv_cpl(silicon))
        return NO_TROUBLE;
    if (offset + 7 > silicon->tr.limit || (type | 2) != TSS_32_BIT_TYPES)
        return fault(MHV_VECTOR_TS, of_tss);
    if (!mhv_guest_read(processor, silicon, silicon->tr.base + offset, SYSTEM_READ, pointers, 8,
                        &touch))
        return page_fault(&touch);
    const uint32_t selector = pointers[1] & 0xFFFF, of_stack = (selector & 0xFFFC) + external;
    const struct trouble trouble =
        mhv_read_descriptor(processor, silicon, selector, fault(MHV_VECTOR_TS, of_stack), raw);
    if (trouble.is_trouble)
        return trouble;
    const uint32_t writable_data = DESCRIPTOR_S | 1 << 9, kinds = writable_data | DESCRIPTOR_CODE;
    if ((selector & 0xFFFC) == 0 || (selector & 3) != new_cpl || (raw[1] >> 13 & 3) != new_cpl ||
        (raw[1] & kinds) != writable_data)
        return fault(MHV_VECTOR_TS, of_stack);
    if (!(raw[1] & DESCRIPTOR_P))
        return fault(MHV_VECTOR_SS, of_stack);
    *stack = stack_on(unpack(selector, raw), pointers[0], new_cpl == 3);
    return NO_TROUBLE;
}

// Step 4: SS and ESP if the ring changes, EFLAGS, CS, EIP and the error code; then the registers.
static struct trouble enter(struct mhv_processor *processor, struct mhv_silicon *silicon,
                            const struct delivery *delivery, const struct legacy_gate *gate,
                            const struct mhv_silicon_segment *code, struct stack *stack)
{
    const bool changes = (code->selector & 3) != mhv_cpl(silicon);
    const uint32_t frame[MOST_PUSHED] = {
        silicon->segments[MHV_SS].selector,
        (uint32_t)silicon->gpr[MHV_RSP],
        (uint32_t)mhv_silicon_rflags(silicon) & ~(uint32_t)RFLAGS_RF,
        silicon->segments[MHV_CS].selector,
        return_address(silicon, delivery),
        delivery->error_code,
    };
    const uint32_t first = changes ? 0 : 2, last = delivery->has_error_code ? 6 : 5;
    struct touch touch;

    if (!push(processor, silicon, stack, frame + first, last - first, gate->is_32_bit ? 4 : 2,
              &touch))
        return page_fault(&touch);
    if (changes)
        mhv_silicon_load_segment(silicon, MHV_SS, stack->segment);
    mhv_silicon_load_segment(silicon, MHV_CS, *code);
    silicon->gpr[MHV_RSP] = stack->pointer;
    silicon->rip = gate->target;
    enter_with(silicon,
               RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | (gate->is_trap ? 0u : (uint64_t)RFLAGS_IF));
    return NO_TROUBLE;
}

struct trouble mhv_deliver_protected(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                     const struct delivery *delivery)
{
    const uint32_t external = external_bit(delivery);
    struct mhv_silicon_segment code;
    struct legacy_gate gate;
    struct stack stack;

    if (mhv_silicon_rflags(silicon) & RFLAGS_VM)
        return fault(MHV_VECTOR_GP, external); // and so does what follows
    struct trouble trouble = read_gate(processor, silicon, delivery, &gate);
    if (!trouble.is_trouble)
        trouble = read_code(processor, silicon, &gate, external, &code);
    if (!trouble.is_trouble)
        trouble = choose_stack(processor, silicon, code.selector & 3, external, &stack);
    if (trouble.is_trouble)
        return trouble;
    return enter(processor, silicon, delivery, &gate, &code, &stack);
}
