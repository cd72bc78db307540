// Single steps: one instruction, with the same effects on time and counters as a run has.
//
// Stands for: a debugger's way of looking at a processor; the guest does not notice.
// Simplified: a store into the block that it lies in is noticed when it changes a byte; then, as
//             in a run, the block ends there.

#include "inside.h"

// The engine ends a repeated string with one more block, in which RCX is 0 already, but not in a
// block of one instruction. Here it does: RIP goes back to the instruction.
static void keep_last_block(struct mhv_silicon *silicon, const struct mhv_instruction *instruction,
                            uint64_t rip, uint64_t rcx)
{
    const uint8_t opcode = instruction->opcode;
    const uint64_t mask = mhv_address_mask(silicon, instruction);
    const uint64_t rflags = mhv_silicon_rflags(silicon);
    const bool is_string =
        instruction->map == MHV_MAP_ONE_BYTE &&
        ((opcode >= 0xA4 && opcode <= 0xA7) || (opcode >= 0xAA && opcode <= 0xAF));
    const bool compares = (opcode & 6) == 6;
    const bool goes_on_while_zf = !instruction->repeat_not_equal;

    if (!is_string || !(instruction->repeat || instruction->repeat_not_equal) || rflags & RFLAGS_TF)
        return;
    if ((rcx & mask) == 0 || (silicon->gpr[MHV_RCX] & mask) != 0 ||
        silicon->rip != rip + instruction->length)
        return;
    if (!compares || (bool)(rflags & RFLAGS_ZF) == goes_on_while_zf)
        silicon->rip = rip;
}

// One instruction with a block of its own: the interrupt shadow ends a block after one instruction.
// The guest's own shadow (STI, MOV SS) is kept: the engine forgets it when two of them meet.
bool mhv_step_once(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon)
{
    struct mhv_instruction instruction = {0};
    uint8_t bytes[INSTRUCTION_BYTES];

    if (mhv_instruction_at(processor, silicon, &instruction, bytes) &&
        mhv_guard_forbids(bytes, INSTRUCTION_BYTES)) {
        processor->blocks++;
        processor->event.kind = EVENT_TRAP;
        processor->event.trap = 256 + MHV_SVM_EXIT_EXCP0 + MHV_VECTOR_UD;
        return true;
    }
    const bool shadowed = silicon->hflags & MHV_HF_INHIBIT;
    const bool shadows =
        instruction.map == 0 && (instruction.opcode == 0xFB ||
                                 (instruction.opcode == 0x8E && (instruction.modrm >> 3 & 7) == 2));
    const uint64_t rip = silicon->rip, rcx = silicon->gpr[MHV_RCX];
    silicon->hflags |= MHV_HF_INHIBIT;
    processor->step = STEP_FIRST;
    const bool entered = mhv_enter_and_leave(processor, vp, silicon);
    processor->step_began = processor->step != STEP_FIRST;
    processor->step = STEP_NONE;
    silicon->hflags &= ~(uint32_t)MHV_HF_INHIBIT;
    if (processor->event.kind == EVENT_STEPPED)
        keep_last_block(silicon, &instruction, rip, rcx);
    const bool stepped = processor->event.kind == EVENT_STEPPED;
    if (stepped ? shadows && !shadowed : shadowed)
        silicon->hflags |= MHV_HF_INHIBIT;
    return entered;
}

// A fingerprint of the code of the block that is being stepped through; 0 where it cannot be read.
static uint64_t block_print(struct mhv_processor *processor, const struct mhv_silicon *silicon)
{
    const struct mhv_access access = {.kind = MHV_EXECUTE, .user = mhv_cpl(silicon) == 3};
    uint64_t print = UINT64_C(0xCBF29CE484222325);
    uint8_t bytes[16];
    struct touch touch;

    for (uint64_t at = processor->block_begin; at < processor->block_end; at += sizeof bytes) {
        const uint64_t left = processor->block_end - at;
        const uint32_t count = left < sizeof bytes ? (uint32_t)left : (uint32_t)sizeof bytes;
        if (!mhv_guest_read(processor, silicon, at, access, bytes, count, &touch))
            return 0;
        for (uint32_t i = 0; i < count; i++)
            print = (print ^ bytes[i]) * UINT64_C(0x100000001B3);
    }
    return print;
}

// A step inside a block is no new block. Where the block ends, the engine is asked before it
// begins.
static bool peek_block(struct mhv_processor *processor, struct mhv_vp *vp,
                       struct mhv_silicon *silicon)
{
    processor->step = STEP_PEEK;
    const bool entered = mhv_enter_and_leave(processor, vp, silicon);
    processor->step = STEP_NONE;
    if (processor->event.kind == EVENT_PEEKED) {
        processor->block_begin = processor->event.block;
        processor->block_end = processor->event.block + processor->event.block_bytes;
        processor->block_print = block_print(processor, silicon);
    }
    return entered;
}

// A store into the block that makes it ends it: the engine executes the store as a block of its
// own, and begins another behind it.
static void leave_changed_block(struct mhv_processor *processor, const struct mhv_silicon *silicon)
{
    if (processor->block_end == 0 ||
        mhv_code_address(silicon, silicon->rip) != processor->block_next)
        return;
    const uint64_t print = block_print(processor, silicon);
    if (print == 0 || print == processor->block_print)
        return;
    processor->block_end = 0;
    processor->blocks++;
}

// Whether the last step stopped within a block, and what follows is the rest of it.
bool mhv_is_inside_block(const struct mhv_processor *processor, const struct mhv_silicon *silicon)
{
    const uint64_t here = mhv_code_address(silicon, silicon->rip);

    return processor->block_end != 0 && here == processor->block_next &&
           here < processor->block_end;
}

// Executes an instruction, unless the frame that it writes or lies in must be prepared first.
static enum next try_step(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    const bool inside = mhv_is_inside_block(processor, silicon);

    if (!inside && !processor->stepping_suspects) {
        processor->block_end = 0;
        if (!peek_block(processor, vp, silicon))
            return NEXT_ENGINE;
        if (processor->event.kind != EVENT_PEEKED)
            return mhv_handle(processor, vp, silicon);
    }
    mhv_instruction_at(processor, silicon, &instruction, bytes);
    processor->block_next = mhv_code_address(silicon, silicon->rip + instruction.length);
    processor->step_began = false;
    if (!mhv_step_once(processor, vp, silicon))
        return NEXT_ENGINE;
    processor->blocks -= inside && processor->step_began; // the hook counted it, but no block began
    if (processor->event.kind == EVENT_STEPPED) {
        leave_changed_block(processor, silicon);
        return NEXT_GO_ON;
    }
    processor->block_end = 0;
    return mhv_handle(processor, vp, silicon);
}

enum mhv_stop mhv_processor_step(struct mhv_processor *processor, struct mhv_vp *vp)
{
    struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    enum next next = mhv_begin(processor, vp);

    processor->limit = UINT64_MAX;
    if (next == NEXT_GO_ON)
        next = mhv_offer_interrupt(processor, vp, silicon);
    while (next == NEXT_GO_ON) {
        next = try_step(processor, vp, silicon);
        if (processor->event.kind != EVENT_FLIP && processor->event.kind != EVENT_SUSPECT)
            break;
    }
    return mhv_finish(processor, vp, next);
}
