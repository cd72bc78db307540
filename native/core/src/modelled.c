// The modelled TLB in front of the walk, when there is one.
//
// Stands for: the TLB of the processor, whose size and whose misses are then those of the model.
// Spec: AMD APM vol. 2, "TLB Management".
// Simplified: within one block an access to a page that the block has used already is not counted;
//             it would hit. Blocks that follow each other in one page fetch from it once.
//
// The engine has a TLB of its own, which answers whatever it can without asking. It is emptied at
// each block (trap.c), so that every page which a block touches comes here.

#include "inside.h"

enum { CR4_PGE = 1 << 7 };

// One address space for each VP, one partition for each ASID: a guest has no PCIDs.
void mhv_modelled_walk(struct mhv_processor *processor, const struct mhv_paging *first,
                       const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                       struct mhv_walk_result *ret)
{
    const struct mhv_vp *vp = processor->vp;
    const struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    struct mhv_address_space space = {
        .guest = *first,
        .two_stages = second != NULL,
        .global_pages = silicon->cr[4] & CR4_PGE,
        .partition = vp->vmcb->control.guest_asid,
        .number = vp->index,
    };

    if (second)
        space.second = *second;
    mhv_tlb_translate(processor->tlb, &processor->ram, &space, gva, access, ret);
}
