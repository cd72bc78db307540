// The world switch: VMRUN with a VMCB, and what #VMEXIT stores.
//
// Stands for: the VMRUN instruction and #VMEXIT of AMD-V; ring -1's few instructions around them.
// Spec: AMD APM vol. 2, "VMRUN Instruction" and "#VMEXIT".
// Simplified: the engine performs VMRUN but no #VMEXIT, so leaving is done here, register by
// register;
//             host state is not reloaded from the host save area but from a saved context.
//
// The engine runs under an *effective* VMCB: the hypervisor's, with the intercepts added that the
// processor itself needs to complete the emulation (exceptions, INT n, RDTSC, INVLPG, CR8, debug
// registers, writes to CR0, CR3 and CR4). An intercept that the hypervisor did not ask for never
// becomes a #VMEXIT (run.c).

#include "inside.h"

#include <string.h>

enum {
    INTERCEPT_1_OURS = 1 << 14 | 1 << 21 | 1 << 24 | 1 << 26 |
        1 << 28,                       // RDTSC, INTn, HLT, INVLPGA, MSR
    INTERCEPT_2_OURS = 0x7F | 1 << 13, // VMRUN ... SKINIT, XSETBV
    INTERCEPT_INVLPG = 1 << 25,
    CR0_CR3_CR4 = 1 << 0 | 1 << 3 | 1 << 4,
    CR8 = 1 << 8,
    FLUSH_TLB = 1,
};

static struct mhv_vmcb *effective_vmcb(struct mhv_processor *processor)
{
    return (struct mhv_vmcb *)(void *)(processor->ram.bytes + processor->stub_spa + PAGE_BYTES);
}

static void build_effective(struct mhv_processor *processor, const struct mhv_vp *vp)
{
    struct mhv_vmcb *effective = effective_vmcb(processor);
    struct mhv_vmcb_control *control = &effective->control;
    const bool hardware = processor->paging_mode == MHV_PAGING_HARDWARE;

    memcpy(effective, vp->vmcb, sizeof *effective);
    control->intercept_cr_write |= CR0_CR3_CR4 | CR8;
    control->intercept_cr_read |= CR8; // V_TPR, which the engine does not write back
    control->intercept_dr_read = control->intercept_dr_write = 0xFFFF;
    control->intercept_exceptions = 0xFFFFFFFF;
    control->intercept_instructions1 |= INTERCEPT_1_OURS;
    control->intercept_instructions2 |= INTERCEPT_2_OURS;
    if (!hardware)
        control->intercept_instructions1 |=
            INTERCEPT_INVLPG; // the engine's TLB knows no large pages
    control->tsc_offset = 0;
    control->tlb_control = FLUSH_TLB;
    control->virtual_interrupt = 0;
    control->event_injection = 0;
    control->nested_control = hardware ? 1 : 0;
    effective->save.efer |= EFER_SVME; // the engine wants it for VMMCALL
    effective->save.dr7 = 0x400;       // breakpoints are ours (microcode.c), never the engine's
}

static void load_host(struct mhv_processor *processor, struct mhv_vp *vp)
{
    struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    const struct mhv_silicon *host = mhv_silicon_of(processor->host_context);
    uint8_t fpu[sizeof silicon->fpu];

    memcpy(fpu, silicon->fpu, sizeof fpu);
    const size_t header = (size_t)((char *)silicon - (char *)vp->context);
    memcpy(silicon, host, processor->api.context_size(processor->engine) - header);
    memcpy(silicon->fpu, fpu, sizeof fpu);
    memcpy(silicon->gpr, vp->gpr, sizeof silicon->gpr);
    memcpy(silicon->dr, vp->debug_address, sizeof vp->debug_address);
    silicon->gpr[MHV_RAX] = processor->stub_spa + PAGE_BYTES;
}

// Executes ring -1's stub (VMLOAD; VMRUN) and stops before the guest's first instruction.
// Afterwards the VP's context holds the guest's registers as VMRUN loaded them.
bool mhv_world_switch(struct mhv_processor *processor, struct mhv_vp *vp)
{
    build_effective(processor, vp);
    load_host(processor, vp);
    processor->api.context_restore(processor->engine, vp->context);
    mhv_flush_tlb(processor); // the stub is no guest's page
    mhv_walk_cache_forget(&processor->walk_cache);
    if (processor->tlb && vp->reload)
        mhv_tlb_flush_partition(processor->tlb, vp->vmcb->control.guest_asid);
    processor->vp = vp;
    processor->phase = PHASE_STUB;
    processor->stop_at = 0;
    processor->event.kind = EVENT_NONE;
    processor->api.emu_start(processor->engine, processor->stub_spa, 0, 0, 0);
    const bool entered = processor->phase == PHASE_ENTERED;
    processor->phase = PHASE_GUEST;
    if (!entered || processor->api.context_save(processor->engine, vp->context) != MHV_UC_OK) {
        processor->vp = NULL;
        return false;
    }
    mhv_silicon_set_rflags(mhv_silicon_of(vp->context), vp->vmcb->save.rflags);
    vp->counters.world_switches++;
    mhv_tell(vp, vp->counters.blocks, MHV_TRACE_WORLD_SWITCH, vp->vmcb->save.rip,
             vp->vmcb->save.cr3, 0, 0);
    vp->reload = false;
    return true;
}

// What the hypervisor sees at once after an exit.
void mhv_publish(struct mhv_vp *vp)
{
    const struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    struct mhv_vmcb_save *save = &vp->vmcb->save;

    memcpy(vp->gpr, silicon->gpr, sizeof vp->gpr);
    save->rax = silicon->gpr[MHV_RAX];
    save->rsp = silicon->gpr[MHV_RSP];
    save->rip = silicon->rip;
    save->rflags = mhv_silicon_rflags(silicon);
    save->cpl = (uint8_t)mhv_cpl(silicon);
    vp->vmcb->control.interrupt_shadow = silicon->hflags & MHV_HF_INHIBIT ? 1 : 0;
}

// What the hypervisor may have changed since: the reverse.
void mhv_take_edits(struct mhv_vp *vp)
{
    struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    const struct mhv_vmcb_save *save = &vp->vmcb->save;

    memcpy(silicon->gpr, vp->gpr, sizeof vp->gpr);
    silicon->gpr[MHV_RAX] = save->rax;
    silicon->gpr[MHV_RSP] = save->rsp;
    silicon->rip = save->rip;
    mhv_silicon_set_rflags(silicon, save->rflags);
    silicon->hflags &= ~(uint32_t)MHV_HF_INHIBIT;
    if (vp->vmcb->control.interrupt_shadow & 1)
        silicon->hflags |= MHV_HF_INHIBIT;
}

// Without nested paging a GPA that nobody backs is met by ring -1 itself, behind a page fault: that
// is the exit which happened, and the code tells what came of it.
void mhv_exit(struct mhv_vp *vp, uint64_t blocks, uint64_t code, uint64_t info_1, uint64_t info_2)
{
    struct mhv_vmcb_control *control = &vp->vmcb->control;
    const bool is_page_fault = vp->shadow && code == MHV_SVM_EXIT_NPF;
    const uint64_t counted = is_page_fault ? MHV_SVM_EXIT_EXCP0 + MHV_VECTOR_PF : code;

    control->exit_code = code;
    control->exit_info_1 = info_1;
    control->exit_info_2 = info_2;
    control->exit_interrupt_info = 0;
    mhv_tell(vp, blocks, MHV_TRACE_EXIT, mhv_silicon_of(vp->context)->rip, counted, info_1, info_2);
    vp->counters.exits[counted < 256 ? counted : counted - 0x400 + 256]++;
}

static struct mhv_vmcb_segment pack(const struct mhv_silicon_segment *segment)
{
    return (struct mhv_vmcb_segment){
        .selector = (uint16_t)segment->selector,
        .attributes = (uint16_t)((segment->flags >> 8 & 0xFF) | (segment->flags >> 12 & 0xF00)),
        .limit = segment->limit,
        .base = segment->base,
    };
}

void mhv_vp_save(struct mhv_processor *processor, struct mhv_vp *vp)
{
    const struct mhv_silicon *silicon = mhv_silicon_of(vp->context);
    struct mhv_vmcb_save *save = &vp->vmcb->save;

    if (processor->vp != vp || vp->reload)
        return; // the VMCB is the only truth
    save->es = pack(&silicon->segments[MHV_ES]);
    save->cs = pack(&silicon->segments[MHV_CS]);
    save->ss = pack(&silicon->segments[MHV_SS]);
    save->ds = pack(&silicon->segments[MHV_DS]);
    save->fs = pack(&silicon->segments[MHV_FS]);
    save->gs = pack(&silicon->segments[MHV_GS]);
    save->ldtr = pack(&silicon->ldtr);
    save->tr = pack(&silicon->tr);
    save->gdtr = pack(&silicon->gdtr);
    save->idtr = pack(&silicon->idtr);
    save->efer = silicon->efer & ~(uint64_t)EFER_SVME;
    save->cr0 = silicon->cr[0];
    save->cr2 = silicon->cr[2];
    save->cr3 = silicon->cr[3];
    save->cr4 = silicon->cr[4];
    save->dr6 = silicon->dr[6];
    save->star = silicon->star;
    save->lstar = silicon->lstar;
    save->cstar = silicon->cstar;
    save->sfmask = silicon->sfmask;
    save->kernel_gs_base = silicon->kernel_gs_base;
    save->sysenter_cs = silicon->sysenter_cs;
    save->sysenter_esp = silicon->sysenter_esp;
    save->sysenter_eip = silicon->sysenter_eip;
}
