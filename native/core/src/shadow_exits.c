// The exits of shadow paging: page faults of the shadow tables, writes to control registers,
// INVLPG, and the writes that ring -1 makes for the guest.
//
// Stands for: ring -1 without nested paging. The processor walks one stage, with CR0.WP set.
// Spec: AMD APM vol. 2, "Page-Fault (#PF) Exception", "INVLPG Intercept", "Control Register
//       Intercepts". Simplified: microcode reads and writes the guest's memory (descriptors, stacks
//       of a delivery) by way of both stages: such accesses make no shadow faults. CR3 of the
//       engine stays the guest's.
//
// A page fault is answered inside the hook in which the processor met it. A write that ring -1
// makes lies in a region of the engine's memory of which each store is a call: the engine takes the
// instruction apart, as an emulator in ring -1 would.

#include "inside.h"

#include <string.h>

// Inside a hook the VP's context is old: RIP is asked for when somebody reads the trace.
static void count_exit(struct mhv_processor *processor, uint64_t code, uint64_t info_1,
                       uint64_t info_2)
{
    struct mhv_vp *vp = processor->vp;
    uint64_t rip = 0;

    vp->counters.exits[code]++;
    if (!vp->trace)
        return;
    processor->api.reg_read(processor->engine, MHV_UC_RIP, &rip);
    mhv_tell(vp, processor->blocks, MHV_TRACE_EXIT, rip, code, info_1, info_2);
    if (mhv_trace_is_full(vp))
        processor->stop_at = 0; // the next block has to wait until there is room
}

// The shadow tables have changed; and if less is allowed now, the TLB must be empty.
static void forget_what_is_stale(struct mhv_processor *processor,
                                 struct mhv_shadow_service *service)
{
    mhv_walk_cache_forget(&processor->walk_cache);
    processor->one_stage.root = ROOT_UNKNOWN;
    if (!service->take_stale(service->user))
        return;
    if (processor->tlb)
        mhv_tlb_flush_all(processor->tlb);
    mhv_flush_tlb(processor);
}

// A miss of the TLB. Where the shadow tables refuse, ring -1 is asked once; what it makes of that
// is the result, or the processor walks again.
void mhv_shadow_walk(struct mhv_processor *processor, const struct mhv_paging *guest, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_result *ret)
{
    struct mhv_counters *counters = &processor->vp->counters;
    struct mhv_shadow_service *service = processor->vp->shadow;

    for (bool filled = false;; filled = true) {
        struct mhv_paging *paging = &processor->one_stage;
        if (paging->root == ROOT_UNKNOWN)
            paging->root = service->root(service->user, guest);
        if (paging->root == UINT64_MAX)
            *ret = (struct mhv_walk_result){.outcome = MHV_PAGE_FAULT};
        else if (processor->tlb)
            mhv_modelled_walk(processor, paging, NULL, gva, access, ret);
        else if (processor->foreign_walker)
            processor->walker.walk(processor->walker.user, paging, NULL, gva, &access, ret);
        else
            mhv_walk_cached(&processor->ram, paging, gva, access, &processor->walk_cache, ret);
        counters->tlb_fills += ret->references > 0 || !processor->tlb;
        counters->walk_references += ret->references;
        ret->spa = ret->gpa;
        if (ret->outcome != MHV_PAGE_FAULT || filled)
            return;
        const uint32_t error_code = ret->error_code;
        service->fill(service->user, guest, gva, &access, ret);
        forget_what_is_stale(processor, service);
        if (ret->outcome == MHV_VIOLATION)
            return;                      // an exit that the loop will take
        if (ret->outcome != MHV_EMULATE) // one that its store will count
            count_exit(processor, MHV_SVM_EXIT_EXCP0 + MHV_VECTOR_PF, error_code, gva);
        if (ret->outcome != MHV_MAPPED)
            return;
        counters->shadow_fills++;
    }
}

uint64_t mhv_on_emulated_read(void *engine, uint64_t spa, unsigned int byte_count, void *user)
{
    const struct mhv_processor *processor = user;
    uint64_t value = 0;

    (void)engine;
    if (spa < processor->ram.byte_count)
        memcpy(&value, processor->ram.bytes + spa, byte_count);
    return value;
}

// One store of an instruction. The instruction is one exit, however many stores it makes.
void mhv_on_emulated_write(void *engine, uint64_t spa, unsigned int byte_count, uint64_t value,
                           void *user)
{
    struct mhv_processor *processor = user;
    struct mhv_shadow_service *service = processor->vp->shadow;
    uint64_t rip = 0;

    if (spa >= processor->ram.byte_count)
        return;
    processor->api.reg_read(engine, MHV_UC_RIP, &rip);
    if (rip != processor->emulated_rip || processor->blocks != processor->emulated_block) {
        processor->emulated_rip = rip;
        processor->emulated_block = processor->blocks;
        processor->emulated_entry = UINT64_MAX;
        processor->vp->counters.emulated_writes++;
        count_exit(processor, MHV_SVM_EXIT_EXCP0 + MHV_VECTOR_PF, 3, spa);
    }
    const bool goes_on = processor->emulated_entry == (spa & ~UINT64_C(7));
    memcpy(processor->ram.bytes + spa, &value, byte_count);
    mhv_memory_mark(processor->memory, spa, byte_count);
    processor->emulated_entry = spa & ~UINT64_C(7);
    if (goes_on && (spa & 7) + byte_count <= 8)
        return; // another part of the entry that was written last: it is mirrored nowhere
    service->written(service->user, spa, byte_count);
    forget_what_is_stale(processor, service);
}

// A VP without paging needs no shadow tables: it is given the second-level ones. What it writes to
// the tables of others is heard by nobody.
void mhv_miss_writes(struct mhv_processor *processor)
{
    if (processor->missed != processor->vp->shadow)
        mhv_drop_missed(processor);
    processor->missed = processor->vp->shadow;
}

// So the shadow tables go, before a VP with paging uses them.
void mhv_drop_missed(struct mhv_processor *processor)
{
    struct mhv_shadow_service *service = processor->missed;

    if (!service)
        return;
    processor->missed = NULL;
    service->drop(service->user);
    forget_what_is_stale(processor, service);
}

// Before the guest goes on: what others wrote to its tables meanwhile.
void mhv_tell_shadows(struct mhv_processor *processor)
{
    struct mhv_memory *memory = processor->memory;

    for (struct mhv_shadow_service *service = processor->shadows;
         service && memory->written_count > 0; service = service->next) {
        if (memory->written_count > MHV_WRITTEN_COUNT)
            service->drop(service->user);
        else
            for (uint32_t i = 0; i < memory->written_count; i++)
                service->written(service->user, memory->written[i].spa,
                                 memory->written[i].byte_count);
        forget_what_is_stale(processor, service);
    }
    memory->written_count = 0;
}

bool mhv_is_shadow_exit(const struct mhv_vp *vp, uint32_t code)
{
    return vp->shadow && (code == MHV_SVM_EXIT_CR3_READ || code == MHV_SVM_EXIT_CR0_WRITE ||
                          code == MHV_SVM_EXIT_CR3_WRITE || code == MHV_SVM_EXIT_CR4_WRITE ||
                          code == MHV_SVM_EXIT_INVLPG);
}

static void invalidate_page(struct mhv_processor *processor, struct mhv_vp *vp,
                            const struct mhv_silicon *silicon,
                            const struct mhv_instruction *instruction)
{
    const struct mhv_paging guest = mhv_guest_paging(silicon);
    struct mhv_shadow_service *service = vp->shadow;
    uint64_t gva;

    if (mhv_memory_operand(silicon, instruction, &gva)) {
        service->invalidate_page(service->user, &guest, gva);
        forget_what_is_stale(processor, service);
        mhv_invalidate_address(processor, vp, gva);
        return;
    }
    service->invalidate_all(service->user);
    mhv_invalidate_all(processor, vp, true);
}

// With the whole state at hand.
enum next mhv_shadow_exit(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon, uint32_t code)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];

    mhv_exit(vp, processor->blocks, code, silicon->error_code, 0);
    if (code != MHV_SVM_EXIT_CR3_READ && code != MHV_SVM_EXIT_INVLPG)
        return mhv_move_control(processor, vp, silicon, code - MHV_SVM_EXIT_CR0_WRITE);
    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    if (code == MHV_SVM_EXIT_CR3_READ) {
        silicon->gpr[(instruction.modrm & 7) | (instruction.rex & 1) << 3] = silicon->cr[3];
        if (!(mhv_silicon_rflags(silicon) & RFLAGS_TF) && !(silicon->hflags & MHV_HF_INHIBIT))
            processor->blocks--; // it ends no block: what follows is the rest of this one
    } else {
        invalidate_page(processor, vp, silicon, &instruction);
    }
    return mhv_complete(processor, vp, silicon, instruction.length);
}
