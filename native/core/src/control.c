// Writes to CR0, CR3 and CR4: what the processor refuses, and what follows from the rest.
//
// Stands for: microcode; the engine would accept any value.
// Spec: AMD APM vol. 2, "System-Control Registers" and "Long Mode Consistency Checks"; APM vol. 3,
//       "MOV CRn", "CLTS", "LMSW".
// Simplified: paging is that of long mode: a write that would enable any other raises #GP. LMSW
// takes
//             a register, and raises #UD with memory.

#include "inside.h"

enum {
    CR0_MP_EM_TS = 14,
    CR0_ET = 16,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
    CR4_OSFXSR = 1 << 9,
    CR4_KNOWN = CR4_SMAP | CR4_SMEP | CR4_LA57 | 0x7BC, // OSXMMEXCPT OSFXSR PCE PGE PAE PSE DE TSD
    HF_MP_EM_TS_SHIFT = 8,                              // from the place of these three bits in CR0
    HF_OSFXSR = 1 << 22,
    HF_SMAP = 1 << 23,
    DESCRIPTOR_L = 1 << 21,
};
static const uint64_t CR0_KNOWN = 0xE005003F; // PG CD NW AM WP NE ET TS EM MP PE

// Paging is switched on on the way to long mode, from code that is not yet 64-bit.
static bool may_enable_paging(const struct mhv_silicon *silicon)
{
    return silicon->efer & EFER_LME && silicon->cr[4] & CR4_PAE &&
           !(silicon->segments[MHV_CS].flags & DESCRIPTOR_L);
}

static bool cr0_is_legal(const struct mhv_silicon *silicon, uint64_t value)
{
    const bool had_paging = silicon->cr[0] & CR0_PG;

    if (value >> 32 || (value & CR0_NW && !(value & CR0_CD)))
        return false;
    if (!(value & CR0_PG))
        return !had_paging || !mhv_in_long_code(silicon);
    return value & CR0_PE && (had_paging || may_enable_paging(silicon));
}

static bool cr4_is_legal(const struct mhv_silicon *silicon, uint64_t value)
{
    const bool paged = silicon->cr[0] & CR0_PG;

    if (value & ~(uint64_t)CR4_KNOWN)
        return false;
    return !paged || (value & CR4_PAE && ((value ^ silicon->cr[4]) & CR4_LA57) == 0);
}

// Long mode is in force with paging. Without PE segments are those of real mode; each keeps what
// was loaded into it.
static void set_cr0(struct mhv_silicon *silicon, uint64_t value)
{
    silicon->cr[0] = (value & CR0_KNOWN) | CR0_ET;
    silicon->efer &= ~(uint64_t)EFER_LMA;
    silicon->hflags &= ~(uint32_t)(CR0_MP_EM_TS << HF_MP_EM_TS_SHIFT | MHV_HF_PE | MHV_HF_LMA);
    silicon->hflags |= (uint32_t)(value & CR0_MP_EM_TS) << HF_MP_EM_TS_SHIFT;
    silicon->hflags |= value & CR0_PE ? MHV_HF_PE : 0u;
    if (value & CR0_PG) {
        silicon->efer |= EFER_LMA;
        silicon->hflags |= MHV_HF_LMA;
    }
    mhv_silicon_load_segment(silicon, MHV_CS, silicon->segments[MHV_CS]);
}

static void set_cr4(struct mhv_silicon *silicon, uint64_t value)
{
    silicon->cr[4] = value;
    silicon->hflags &= ~(uint32_t)(HF_OSFXSR | HF_SMAP);
    silicon->hflags |= (value & CR4_OSFXSR ? HF_OSFXSR : 0u) | (value & CR4_SMAP ? HF_SMAP : 0u);
}

// The value that the instruction wants to write. False for LMSW with an operand in memory.
static bool operand(const struct mhv_silicon *silicon, const struct mhv_instruction *instruction,
                    uint64_t *value)
{
    const uint64_t whole = silicon->gpr[(instruction->modrm & 7) | (instruction->rex & 1) << 3];
    const uint64_t general = mhv_in_long_code(silicon) ? whole : (uint32_t)whole;

    *value = general;
    if (instruction->opcode == 0x06) // CLTS
        *value = silicon->cr[0] & ~(uint64_t)CR0_TS;
    if (instruction->opcode == 0x01) // LMSW: bits 3:0, and PE stays
        *value = (silicon->cr[0] & ~UINT64_C(14)) | (general & 15);
    return instruction->opcode != 0x01 || instruction->modrm >> 6 == 3;
}

static bool is_legal(const struct mhv_silicon *silicon, uint32_t number, uint64_t value)
{
    if (number == 0)
        return cr0_is_legal(silicon, value);
    return number == 3 ? value >> PHYSICAL_BITS == 0 : cr4_is_legal(silicon, value);
}

// "Implicit Invalidations": a write to CR3 always, to the others if it changes translation.
static bool invalidates(uint32_t number, uint64_t changed)
{
    const uint64_t harmless = number == 0 ? CR0_MP_EM_TS : CR4_OSFXSR;

    return number == 3 || changed & ~harmless;
}

enum next mhv_move_control(struct mhv_processor *processor, struct mhv_vp *vp,
                           struct mhv_silicon *silicon, uint32_t number)
{
    const uint64_t held = silicon->cr[number];
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    uint64_t value;

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    if (!operand(silicon, &instruction, &value))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_UD, false, 0);
    if (!is_legal(silicon, number, value))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (number == 0)
        set_cr0(silicon, value);
    else if (number == 4)
        set_cr4(silicon, value);
    else
        silicon->cr[3] = value;
    if (invalidates(number, silicon->cr[number] ^ held)) {
        if (vp->shadow)
            vp->shadow->invalidate_all(vp->shadow->user);
        mhv_invalidate_all(processor, vp, number != 3);
    }
    return mhv_complete(processor, vp, silicon, instruction.length);
}
