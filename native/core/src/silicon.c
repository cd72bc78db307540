// The registers of the emulated processor that its public interface does not show.
//
// Stands for: the hidden parts of segment registers, the privilege level, the pending error code.
// Simplified: the offsets are those of one line of Unicorn releases (2.1.4), and a
//             processor is refused when the engine does not prove them (mhv_silicon_prove).
// Spec: Intel SDM vol. 3A, "Segment Registers"; AMD APM vol. 2, "Segmentation Data Structures".

#include "minihv/silicon.h"

#include <string.h>

enum {
    CONTEXT_HEADER_BYTES = 40, // what a context object holds before the registers
    CC_OP_EFLAGS = 1,          // "the arithmetic flags are in cc_source as they are"
    ARITHMETIC_FLAGS = 0x8D5,  // OF SF ZF AF PF CF
    DIRECTION_FLAG = 0x400,
    DESCRIPTOR_L = 1 << 21,
    DESCRIPTOR_B = 1 << 22,
    DESCRIPTOR_DPL_SHIFT = 13,
};

_Static_assert(offsetof(struct mhv_silicon, hflags) == 176, "");
_Static_assert(offsetof(struct mhv_silicon, segments) == 184, "");
_Static_assert(offsetof(struct mhv_silicon, cr) == 424, "");
_Static_assert(offsetof(struct mhv_silicon, efer) == 592, "");
_Static_assert(offsetof(struct mhv_silicon, fpu) == 604, "");
_Static_assert(offsetof(struct mhv_silicon, sysenter_cs) == 4800, "");
_Static_assert(offsetof(struct mhv_silicon, kernel_gs_base) == 4864, "");
_Static_assert(offsetof(struct mhv_silicon, error_code) == 5384, "");
_Static_assert(offsetof(struct mhv_silicon, dr) == 5400, "");

struct mhv_silicon *mhv_silicon_of(void *context)
{
    return (struct mhv_silicon *)((char *)context + CONTEXT_HEADER_BYTES);
}

uint64_t mhv_silicon_rflags(const struct mhv_silicon *silicon)
{
    const uint64_t direction = silicon->direction < 0 ? DIRECTION_FLAG : 0;
    return (silicon->eflags & ~(uint64_t)(ARITHMETIC_FLAGS | DIRECTION_FLAG)) |
           (silicon->cc_source & ARITHMETIC_FLAGS) | direction | 2;
}

// The engine evaluates arithmetic flags lazily; this writes them out, so that the answer of
// mhv_silicon_rflags is right from here on. It begins to run with what it finds in `eflags`, and
// keeps them in the other fields while it runs: so they are written to both.
void mhv_silicon_set_rflags(struct mhv_silicon *silicon, uint64_t rflags)
{
    silicon->cc_operation = CC_OP_EFLAGS;
    silicon->cc_source = rflags & ARITHMETIC_FLAGS;
    silicon->direction = rflags & DIRECTION_FLAG ? -1 : 1;
    silicon->eflags = rflags | 2;
}

static uint32_t bit(bool set, uint32_t mask)
{
    return set ? mask : 0;
}

// Loading CS decides the width of code, loading SS the privilege level; the engine keeps both
// decisions in hflags, as every translated block depends on them.
void mhv_silicon_load_segment(struct mhv_silicon *silicon, uint32_t name,
                              struct mhv_silicon_segment segment)
{
    silicon->segments[name] = segment;
    uint32_t hflags = silicon->hflags;
    if (name == MHV_CS) {
        const bool long_code = hflags & MHV_HF_LMA && segment.flags & DESCRIPTOR_L;
        hflags &= ~(uint32_t)(MHV_HF_CS32 | MHV_HF_CS64);
        hflags |=
            long_code ? MHV_HF_CS32 | MHV_HF_CS64 : bit(segment.flags & DESCRIPTOR_B, MHV_HF_CS32);
    }
    if (name == MHV_SS)
        hflags = (hflags & ~(uint32_t)MHV_HF_CPL) | (segment.flags >> DESCRIPTOR_DPL_SHIFT & 3);
    const struct mhv_silicon_segment *all = silicon->segments;
    const bool based = all[MHV_DS].base | all[MHV_ES].base | all[MHV_SS].base;
    hflags &= ~(uint32_t)(MHV_HF_SS32 | MHV_HF_ADDSEG);
    hflags |= bit(all[MHV_SS].flags & DESCRIPTOR_B, MHV_HF_SS32);
    const bool adds = based || !(hflags & MHV_HF_PE) || !(hflags & MHV_HF_CS32);
    hflags |= bit(!(hflags & MHV_HF_CS64) && adds, MHV_HF_ADDSEG);
    silicon->hflags = hflags;
}

static void write_msr(const struct mhv_engine_api *api, void *engine, uint32_t number,
                      uint64_t value)
{
    struct {
        uint32_t number;
        uint64_t value;
    } msr = {number, value};
    api->reg_write(engine, MHV_UC_MSR, &msr);
}

// Registers written through the public interface must appear at the places of struct mhv_silicon.
bool mhv_silicon_prove(const struct mhv_engine_api *api, void *engine, void *context)
{
    static const struct {
        uint32_t number;
        uint32_t offset;
    } msrs[] = {
        {0x175, offsetof(struct mhv_silicon, sysenter_esp)},
        {0x176, offsetof(struct mhv_silicon, sysenter_eip)},
        {0xC0000081, offsetof(struct mhv_silicon, star)},
        {0xC0000082, offsetof(struct mhv_silicon, lstar)},
        {0xC0000083, offsetof(struct mhv_silicon, cstar)},
        {0xC0000084, offsetof(struct mhv_silicon, sfmask)},
        {0xC0000102, offsetof(struct mhv_silicon, kernel_gs_base)},
        {0xC0000100, offsetof(struct mhv_silicon, segments[MHV_FS].base)},
        {0xC0000101, offsetof(struct mhv_silicon, segments[MHV_GS].base)},
    };
    const uint64_t mark = UINT64_C(0x0000123450000000), flags = 0x897, cr3 = 0x7000, zero = 0;
    if (api->context_size(engine) < CONTEXT_HEADER_BYTES + sizeof(struct mhv_silicon))
        return false;
    for (uint32_t i = 0; i < sizeof msrs / sizeof *msrs; i++)
        write_msr(api, engine, msrs[i].number, mark + i);
    api->reg_write(engine, MHV_UC_RBX, &mark);
    api->reg_write(engine, MHV_UC_CR3, &cr3);
    api->reg_write(engine, MHV_UC_RFLAGS, &flags);
    if (api->context_save(engine, context) != MHV_UC_OK)
        return false;
    const struct mhv_silicon *silicon = mhv_silicon_of(context);
    bool proven = silicon->gpr[MHV_RBX] == mark && silicon->cr[3] == cr3 &&
                  silicon->hflags & MHV_HF_CS64 && silicon->cc_operation == CC_OP_EFLAGS &&
                  mhv_silicon_rflags(silicon) == flags;
    for (uint32_t i = 0; i < sizeof msrs / sizeof *msrs; i++) {
        uint64_t seen;
        memcpy(&seen, (const char *)silicon + msrs[i].offset, sizeof seen);
        proven = proven && seen == mark + i;
        write_msr(api, engine, msrs[i].number, 0);
    }
    api->reg_write(engine, MHV_UC_RBX, &zero);
    api->reg_write(engine, MHV_UC_CR3, &zero);
    return proven;
}
