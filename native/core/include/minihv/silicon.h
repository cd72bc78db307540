#ifndef MINIHV_SILICON_H
#define MINIHV_SILICON_H
#include "minihv/engine.h"
#include <stdbool.h>
#include <stdint.h>

// One segment register with its hidden part, as the engine keeps it. `flags` is the second word of
// the descriptor, unpacked in place (Intel SDM vol. 3A, "Segment Descriptors").
struct mhv_silicon_segment {
    uint32_t selector;
    uint64_t base;
    uint32_t limit;
    uint32_t flags;
};

enum mhv_segment_name { MHV_ES, MHV_CS, MHV_SS, MHV_DS, MHV_FS, MHV_GS };

enum mhv_gpr_name {
    MHV_RAX,
    MHV_RCX,
    MHV_RDX,
    MHV_RBX,
    MHV_RSP,
    MHV_RBP,
    MHV_RSI,
    MHV_RDI,
    MHV_R8,
    MHV_R9,
    MHV_R10,
    MHV_R11,
    MHV_R12,
    MHV_R13,
    MHV_R14,
    MHV_R15,
};

// The registers of the emulated processor that no public call shows, as they lie in a saved
// context. Facts of Unicorn 2.1.4, proven at start-up by mhv_silicon_prove before anything relies
// on them.
struct mhv_silicon {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t eflags; // without the arithmetic flags and DF, which lie in the next five fields
    uint64_t cc_result;
    uint64_t cc_source;
    uint64_t cc_source2;
    uint32_t cc_operation;
    int32_t direction; // +1, or -1 when DF is set
    uint32_t hflags;   // what a translated block depends on: enum mhv_silicon_hflag
    uint32_t hflags2;
    struct mhv_silicon_segment segments[6];
    struct mhv_silicon_segment ldtr, tr, gdtr, idtr;
    uint64_t cr[9];
    int32_t a20_mask;
    uint64_t bounds[11];
    uint64_t efer;
    uint32_t unused;
    uint8_t fpu[1276]; // x87, MXCSR, XMM0-15 and the rounding state derived from them
    uint8_t between[2920];
    uint32_t sysenter_cs;
    uint64_t sysenter_esp, sysenter_eip, star, vm_hsave, lstar, cstar, sfmask, kernel_gs_base;
    uint8_t between2[512];
    uint32_t error_code; // of the last exception, or the low half of EXITINFO1
    uint32_t is_software_interrupt;
    uint64_t next_rip;
    uint64_t dr[8];
};

enum mhv_silicon_hflag {
    MHV_HF_CPL = 3,
    MHV_HF_INHIBIT = 8, // interrupt shadow: the next block is one instruction long
    MHV_HF_CS32 = 16,
    MHV_HF_SS32 = 32,
    MHV_HF_ADDSEG = 64,
    MHV_HF_PE = 128, // not in real mode
    MHV_HF_LMA = 16384,
    MHV_HF_CS64 = 32768,
    MHV_HF_GUEST = 2097152,
};

// Where the saved registers begin in a context object, or NULL when this engine's layout is not the
// proven one. `engine` is fresh; its registers are changed.
bool mhv_silicon_prove(const struct mhv_engine_api *api, void *engine, void *context);
struct mhv_silicon *mhv_silicon_of(void *context);

uint64_t mhv_silicon_rflags(const struct mhv_silicon *silicon);
void mhv_silicon_set_rflags(struct mhv_silicon *silicon, uint64_t rflags);
void mhv_silicon_load_segment(struct mhv_silicon *silicon, uint32_t name,
                              struct mhv_silicon_segment segment);

#endif
