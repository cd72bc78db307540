// What the engine is made to forget of its TLB: all, or one page, however large.
//
// Stands for: the TLB's side of INVLPG and of the flushes.
// Spec: AMD APM vol. 2, "Invalidating TLB Entries"; APM vol. 3, "INVLPG".
// Simplified: INVLPG of an address between large pages invalidates everything.
//
// The engine's TLB holds a large page as pieces of 4 KiB, and forgets one of them at a time. So the
// range is kept that large pages span which were filled since all was forgotten, and an address in
// it costs the whole TLB.

#include "inside.h"

// All of the engine's. What is modelled in front of it, and what the walk remembers, stays.
void mhv_flush_tlb(struct mhv_processor *processor)
{
    processor->large_begin = UINT64_MAX;
    processor->large_last = 0;
    processor->api.ctl(processor->engine, MHV_UC_CTL_FLUSH_TLB);
}

void mhv_remember_large_page(struct mhv_processor *processor, uint64_t gva, uint64_t page_bytes)
{
    const uint64_t begin = gva & ~(page_bytes - 1), last = begin + page_bytes - 1;

    processor->large_begin = begin < processor->large_begin ? begin : processor->large_begin;
    processor->large_last = last > processor->large_last ? last : processor->large_last;
}

// The engine does by executing INVLPGA for ring -1, from an address that no translation of the
// guest can be filed under.
static void forget_piece(struct mhv_processor *processor, uint64_t gva)
{
    const uint64_t blocks = processor->blocks;

    processor->api.context_restore(processor->engine, processor->host_context);
    processor->api.reg_write(processor->engine, MHV_UC_RAX, &gva);
    processor->phase = PHASE_STUB;
    processor->stop_at = UINT64_MAX;
    processor->api.emu_start(processor->engine, MHV_STUB_PAGE + MHV_FORGET_PAGE_AT, 0, 0, 0);
    processor->phase = PHASE_GUEST;
    processor->blocks = blocks;
}

void mhv_flush_page(struct mhv_processor *processor, uint64_t gva)
{
    if (gva >= processor->large_begin && gva <= processor->large_last)
        mhv_flush_tlb(processor);
    else
        forget_piece(processor, gva);
}

// What the guest itself invalidates by writing to CR3 or, globally, to CR0 or CR4.
void mhv_invalidate_all(struct mhv_processor *processor, const struct mhv_vp *vp, bool globally)
{
    const uint32_t asid = vp->vmcb->control.guest_asid;

    mhv_walk_cache_forget(&processor->walk_cache);
    if (processor->tlb && globally)
        mhv_tlb_flush_partition(processor->tlb, asid);
    else if (processor->tlb)
        mhv_tlb_flush_address_space(processor->tlb, vp->index, asid);
    mhv_flush_tlb(processor);
}

void mhv_invalidate_address(struct mhv_processor *processor, const struct mhv_vp *vp, uint64_t gva)
{
    mhv_walk_cache_forget(&processor->walk_cache);
    if (processor->tlb)
        mhv_tlb_flush_page(processor->tlb, vp->index, vp->vmcb->control.guest_asid, gva);
    mhv_flush_page(processor, gva);
}

// INVLPG, when the hypervisor does not intercept it.
enum next mhv_invalidate_page(struct mhv_processor *processor, struct mhv_vp *vp,
                              struct mhv_silicon *silicon)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    uint64_t gva;

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    if (mhv_memory_operand(silicon, &instruction, &gva))
        mhv_invalidate_address(processor, vp, gva);
    else
        mhv_invalidate_all(processor, vp, true);
    return mhv_complete(processor, vp, silicon, instruction.length);
}
