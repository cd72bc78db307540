// Instructions that the engine leaves to us: SYSCALL, INT n, the debug registers, the task
// priority, the time-stamp counter.
//
// Stands for: microcode.
// Spec: AMD APM vol. 3, "SYSCALL", "INT", "RDTSC", "RDTSCP", "MOV DRn", "MOV CRn".
// Simplified: debug registers are stored and read back but arm no breakpoint; SYSCALL in 64-bit
//             mode and compatibility mode only; SYSENTER raises #UD, as AMD processors do in long
//             mode.

#include "inside.h"

#include <string.h>

enum {
    CODE_64_FLAGS = 0x00A09B00, // present, ring 0, code, readable, accessed, L, G
    DATA_FLAGS = 0x00C09300,    // present, ring 0, data, writable, accessed, B, G
    SYSCALL_BYTES = 2,
    CR4_DE = 8,
    V_TPR = 15,
};

uint64_t mhv_tsc(const struct mhv_processor *processor, const struct mhv_vp *vp)
{
    return (vp->time_base + processor->blocks) * MHV_TICKS_PER_BLOCK + vp->vmcb->control.tsc_offset;
}

// A #DB, if RFLAGS.TF asks for one behind each instruction.
enum next mhv_trap_single_step(struct mhv_processor *processor, struct mhv_vp *vp,
                               struct mhv_silicon *silicon)
{
    if (!(mhv_silicon_rflags(silicon) & RFLAGS_TF))
        return NEXT_GO_ON;
    silicon->dr[6] |= DR6_BS;
    return mhv_raise(processor, vp, silicon, MHV_VECTOR_DB, false, 0);
}

// The instruction that was carried out here is done: on behind its `byte_count` bytes, and out of
// an interrupt shadow.
enum next mhv_complete(struct mhv_processor *processor, struct mhv_vp *vp,
                       struct mhv_silicon *silicon, uint32_t byte_count)
{
    silicon->rip += byte_count;
    silicon->hflags &= ~(uint32_t)MHV_HF_INHIBIT;
    return mhv_trap_single_step(processor, vp, silicon);
}

enum next mhv_syscall(struct mhv_processor *processor, struct mhv_vp *vp,
                      struct mhv_silicon *silicon)
{
    const bool long_code = mhv_in_long_code(silicon);
    const uint64_t rflags = mhv_silicon_rflags(silicon);
    const uint32_t selector = silicon->star >> 32 & 0xFFFC;
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    if (!(silicon->efer & EFER_SCE) || !(silicon->efer & EFER_LMA))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_UD, false, 0);
    const bool fetched = mhv_instruction_at(processor, silicon, &instruction, bytes);
    silicon->gpr[MHV_RCX] = silicon->rip + (fetched ? instruction.length : SYSCALL_BYTES);
    silicon->gpr[MHV_R11] = rflags & ~(uint64_t)RFLAGS_RF;
    silicon->rip = long_code ? silicon->lstar : silicon->cstar;
    mhv_silicon_set_rflags(silicon, rflags & ~silicon->sfmask & ~(uint64_t)RFLAGS_RF);
    mhv_silicon_load_segment(silicon, MHV_SS,
                             (struct mhv_silicon_segment){selector + 8, 0, 0xFFFFFFFF, DATA_FLAGS});
    mhv_silicon_load_segment(silicon, MHV_CS,
                             (struct mhv_silicon_segment){selector, 0, 0xFFFFFFFF, CODE_64_FLAGS});
    return mhv_complete(processor, vp, silicon, 0); // with TF as the mask leaves it
}

enum next mhv_software_interrupt(struct mhv_processor *processor, struct mhv_vp *vp,
                                 struct mhv_silicon *silicon)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON; // it is no longer there: fetch again
    const uint8_t vector = instruction.opcode == 0xCC   ? MHV_VECTOR_BP
                           : instruction.opcode == 0xCE ? MHV_VECTOR_OF // INTO
                                                        : (uint8_t)instruction.immediate;
    return mhv_deliver(processor, vp, silicon,
                       (struct delivery){.vector = vector,
                                         .type = DELIVER_SOFTWARE,
                                         .next_rip = silicon->rip + instruction.length});
}

static uint64_t *debug_register(struct mhv_vp *vp, struct mhv_silicon *silicon, uint32_t number)
{
    if (number < 4)
        return &vp->debug_address[number];
    return number == 6 ? &silicon->dr[6] : &vp->vmcb->save.dr7;
}

// MOV to and from DRn. The general register is in modrm bits 2:0, DRn in bits 5:3.
enum next mhv_move_debug(struct mhv_processor *processor, struct mhv_vp *vp,
                         struct mhv_silicon *silicon)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    uint32_t number = instruction.modrm >> 3 & 7;
    uint64_t *general = &silicon->gpr[(instruction.modrm & 7) | (instruction.rex & 1) << 3];
    if (mhv_cpl(silicon) != 0)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (instruction.rex & 4 || ((number == 4 || number == 5) && silicon->cr[4] & CR4_DE))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_UD, false, 0);
    number = number == 4 || number == 5 ? number + 2 : number;
    uint64_t *debug = debug_register(vp, silicon, number);
    if (instruction.opcode == 0x21)
        *general = *debug;
    else if (number >= 6 && *general >> 32)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    else
        *debug = number == 7 ? *general | 0x400 : number == 6 ? *general | 0xFFFF0FF0 : *general;
    return mhv_complete(processor, vp, silicon, instruction.length);
}

// MOV to and from CR8, which is V_TPR of the VMCB: the general register is in modrm bits 2:0.
enum next mhv_move_task_priority(struct mhv_processor *processor, struct mhv_vp *vp,
                                 struct mhv_silicon *silicon, bool is_write)
{
    uint64_t *virtual_interrupt = &vp->vmcb->control.virtual_interrupt;
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    uint64_t *general = &silicon->gpr[(instruction.modrm & 7) | (instruction.rex & 1) << 3];
    if (is_write && *general & ~(uint64_t)V_TPR)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (is_write)
        *virtual_interrupt = (*virtual_interrupt & ~(uint64_t)V_TPR) | *general;
    else
        *general = *virtual_interrupt & V_TPR;
    return mhv_complete(processor, vp, silicon, instruction.length);
}

// RDTSC and RDTSCP, when the hypervisor does not intercept them.
enum next mhv_read_time(struct mhv_processor *processor, struct mhv_vp *vp,
                        struct mhv_silicon *silicon)
{
    const uint64_t tsc = mhv_tsc(processor, vp);
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    silicon->gpr[MHV_RAX] = (uint32_t)tsc;
    silicon->gpr[MHV_RDX] = tsc >> 32;
    if (instruction.opcode == 0x01)
        silicon->gpr[MHV_RCX] = (uint32_t)vp->tsc_aux;
    return mhv_complete(processor, vp, silicon, instruction.length);
}
