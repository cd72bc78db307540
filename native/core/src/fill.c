// TLB misses: the walk answers, and the answer keeps stores fast and translated code fresh.
//
// Stands for: the page-miss handler of the processor, with a TLB that is the engine's.
// Spec: AMD APM vol. 2, "Nested Paging" and "Translation-Lookaside Buffer".
// Simplified: the engine's TLB has no address-space tags and its own size; how often a translation
// is
//             asked for again is not reproducible, what is answered is.
//
// The policy (W^X with a fetched bit per frame; why it is coherent: docs/decisions):
//   fetch  -> the alias region, R+X. The frame is FETCHED from now on, and if the TLB may hold a
//   fast
//             writable entry for it, the TLB is flushed.
//   write  -> the plain region, R+W, if the frame was never fetched. Else the frame *flips*: it
//   loses its
//             blocks and the write is tried again; a frame that flips twice in an epoch is written
//             through the alias region, where each store is compared with the translated blocks.
//   emulated write -> a third region, in which each store is a call of ours (shadow_exits.c).
//   read   -> the plain region, and W at once if D is set everywhere and the frame was never
//   fetched.

#include "inside.h"

enum {
    EPOCH_SHIFT = 28, // a frame may flip once in so many blocks (about a second of virtual time)
};
static const uint64_t ALIAS = UINT64_C(1) << 38; // engine-physical address of the alias region
static const uint64_t EMULATED = UINT64_C(1) << EMULATED_SHIFT;
static const uint64_t DROP_PAGE =
    UINT64_C(0x00C0FFEE) << 36; // a GVA no format translates: names the frame being dropped

static bool answer(struct mhv_engine_fill *fill, uint64_t address, uint32_t rights)
{
    fill->address = address;
    fill->rights = rights;
    return true;
}

static bool refuse(struct mhv_processor *processor, enum event_kind kind, uint64_t spa)
{
    processor->event.kind = kind;
    processor->event.frame = spa >> PAGE_SHIFT;
    return false;
}

// The guard reads a frame once after each change, before the translator does.
static bool suspect(struct mhv_processor *processor, uint64_t frame)
{
    uint8_t *flags = &processor->memory->frame_flags[frame];

    if (!(*flags & MHV_FRAME_SCANNED)) {
        const uint8_t *page = processor->ram.bytes + (frame << PAGE_SHIFT);
        *flags &= (uint8_t)~MHV_FRAME_SUSPECT;
        *flags |= MHV_FRAME_SCANNED;
        if (mhv_guard_suspects(page, PAGE_BYTES))
            *flags |= MHV_FRAME_SUSPECT;
    }
    return *flags & MHV_FRAME_SUSPECT;
}

static bool fill_fetch(struct mhv_processor *processor, uint64_t spa, struct mhv_engine_fill *fill)
{
    uint8_t *flags = &processor->memory->frame_flags[spa >> PAGE_SHIFT];

    if (suspect(processor, spa >> PAGE_SHIFT) && !processor->stepping_suspects)
        return refuse(processor, EVENT_SUSPECT, spa);
    if (*flags & MHV_FRAME_WRITABLE) {
        *flags &= (uint8_t)~MHV_FRAME_WRITABLE;
        mhv_flush_tlb(processor);
    }
    *flags |= MHV_FRAME_FETCHED;
    processor->fetch_fills++;
    return answer(fill, ALIAS + spa, MHV_UC_PROT_READ | MHV_UC_PROT_EXEC);
}

// A frame that ring -1 writes for the guest. Its blocks are dropped before, or behind the single
// instruction that writes.
static bool fill_emulated(struct mhv_processor *processor, uint64_t spa,
                          struct mhv_engine_fill *fill)
{
    const uint64_t frame = spa >> PAGE_SHIFT;
    uint8_t *flags = &processor->memory->frame_flags[frame];
    const bool flipped = processor->memory->frame_flipped[frame] == processor->epoch;

    if (*flags & MHV_FRAME_FETCHED && !processor->stepping_emulated)
        return refuse(processor, flipped ? EVENT_EMULATE : EVENT_FLIP, spa);
    *flags |= MHV_FRAME_WRITABLE; // so that the next fetch is seen
    return answer(fill, EMULATED + spa, MHV_UC_PROT_READ | MHV_UC_PROT_WRITE);
}

static bool fill_write(struct mhv_processor *processor, uint64_t spa, struct mhv_engine_fill *fill)
{
    const uint64_t frame = spa >> PAGE_SHIFT;
    uint8_t *flags = &processor->memory->frame_flags[frame];

    *flags &= (uint8_t)~MHV_FRAME_SCANNED;
    if (!(*flags & MHV_FRAME_FETCHED)) {
        *flags |= MHV_FRAME_WRITABLE;
        return answer(fill, spa, MHV_UC_PROT_READ | MHV_UC_PROT_WRITE);
    }
    if (processor->memory->frame_flipped[frame] != processor->epoch)
        return refuse(processor, EVENT_FLIP, spa);
    if (*flags & MHV_FRAME_SUSPECT && !processor->stepping_suspects)
        return refuse(processor, EVENT_FLIP, spa);
    *flags |=
        MHV_FRAME_WRITABLE; // so that the next fetch is seen, and the guard reads what was written
    mhv_flush_tlb(processor);
    return answer(fill, ALIAS + spa, MHV_UC_PROT_READ | MHV_UC_PROT_WRITE);
}

static bool fill_read(struct mhv_processor *processor, const struct mhv_walk_result *found,
                      uint64_t spa, struct mhv_engine_fill *fill)
{
    uint8_t *flags = &processor->memory->frame_flags[spa >> PAGE_SHIFT];

    if (found->dirty && found->writable && !(*flags & MHV_FRAME_FETCHED)) {
        *flags |= MHV_FRAME_WRITABLE;
        *flags &= (uint8_t)~MHV_FRAME_SCANNED;
        return answer(fill, spa, MHV_UC_PROT_READ | MHV_UC_PROT_WRITE);
    }
    return answer(fill, spa, MHV_UC_PROT_READ);
}

// Who accesses, and how, while the engine is inside an instruction. CR0, CR3, CR4 and EFER are what
// they were on entry: the engine stops at every write to them (control.c).
static struct mhv_access access_of(struct mhv_processor *processor, int type)
{
    const uint8_t kind = type == MHV_UC_MEM_FETCH   ? MHV_EXECUTE
                         : type == MHV_UC_MEM_WRITE ? MHV_WRITE
                                                    : MHV_READ;
    const struct mhv_silicon *live = processor->live;
    uint16_t cs = 0;
    uint64_t rflags = 0;

    if (live)
        return (struct mhv_access){.kind = kind,
                                   .user = (live->hflags & MHV_HF_CPL) == 3,
                                   .ac = (live->eflags & RFLAGS_AC) != 0};
    processor->api.reg_read(processor->engine, MHV_UC_CS, &cs);
    if (processor->guest.smap)
        processor->api.reg_read(processor->engine, MHV_UC_RFLAGS, &rflags);
    return (struct mhv_access){
        .kind = kind, .user = (cs & 3) == 3, .ac = (rflags & RFLAGS_AC) != 0};
}

// In ring 3 the processor itself reads descriptors as a supervisor, and the engine does not say
// which of its accesses are such. A refused one is, when the page holds a descriptor table and the
// instruction is one that reads it.
static bool is_descriptor_read(struct mhv_processor *processor, uint64_t page)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    struct mhv_silicon *silicon = mhv_silicon_of(processor->vp->context);

    if (processor->api.context_save(processor->engine, processor->vp->context) != MHV_UC_OK)
        return false;
    const struct mhv_silicon_segment *tables[] = {&silicon->gdtr, &silicon->ldtr};
    bool inside = false;
    for (int i = 0; i < 2; i++)
        inside |= page + PAGE_BYTES > tables[i]->base && page <= tables[i]->base + tables[i]->limit;
    if (!inside || !mhv_instruction_at(processor, silicon, &instruction, bytes))
        return false;
    if (instruction.map == 0)
        return instruction.opcode == 0x8E || instruction.opcode == 0xCF ||
               instruction.opcode == 0xCA || instruction.opcode == 0xCB ||
               instruction.opcode == 0xFF;
    return instruction.map == 1 && (instruction.opcode == 0x02 || instruction.opcode == 0x03 ||
                                    instruction.opcode == 0x00 || instruction.opcode == 0xB2 ||
                                    instruction.opcode == 0xB4 || instruction.opcode == 0xB5 ||
                                    instruction.opcode == 0xA1 || instruction.opcode == 0xA9);
}

static bool remember_fault(struct mhv_processor *processor, const struct mhv_walk_result *found,
                           struct mhv_access access, uint64_t page)
{
    processor->event.kind = EVENT_FAULT;
    processor->event.fault = *found;
    processor->event.fault_access = access;
    processor->event.fault_page = page;
    return false;
}

// What the processor's tables say: one stage of ring -1's, or the guest's and the second.
static void walk_tables(struct mhv_processor *processor, const struct mhv_paging *guest,
                        uint64_t page, struct mhv_access access, struct mhv_walk_result *found)
{
    struct mhv_counters *counters = &processor->vp->counters;

    const bool unpaged = guest->levels == 0;
    if (processor->vp->shadow && !unpaged) {
        mhv_shadow_walk(processor, guest, page, access, found);
        return;
    }
    const struct mhv_paging second = mhv_second_paging(processor->vp);
    if (processor->tlb && !unpaged)
        mhv_modelled_walk(processor, guest, &second, page, access, found);
    else if (processor->caches && !processor->foreign_walker)
        mhv_nested_walk_cached(&processor->ram, guest, &second, page, access,
                               &processor->walk_cache, found);
    else
        processor->walker.walk(processor->walker.user, guest, &second, page, &access, found);
    counters->tlb_fills += found->references > 0 || !processor->tlb;
    counters->walk_references += found->references;
    if (processor->vp->shadow)
        mhv_miss_writes(processor);
}

// A translation that was found, with the region of the engine's memory that suits the access.
static bool fill_mapped(struct mhv_processor *processor, const struct mhv_walk_result *found,
                        uint8_t kind, struct mhv_engine_fill *fill)
{
    const uint64_t spa = found->spa & ~(uint64_t)(PAGE_BYTES - 1);

    if (found->outcome == MHV_EMULATE)
        return fill_emulated(processor, spa, fill);
    if (kind == MHV_EXECUTE)
        return fill_fetch(processor, spa, fill);
    return kind == MHV_WRITE ? fill_write(processor, spa, fill)
                             : fill_read(processor, found, spa, fill);
}

static bool fill_guest(struct mhv_processor *processor, uint64_t page, int type,
                       struct mhv_engine_fill *fill)
{
    const struct mhv_paging *guest = &processor->guest;
    struct mhv_walk_result found;

    if (type == MHV_UC_MEM_FETCH && processor->step == STEP_LAST)
        return refuse(processor, EVENT_STEPPED, 0); // the step is done; what follows can wait
    struct mhv_access access = access_of(processor, type);
    walk_tables(processor, guest, page, access, &found);
    if (found.outcome == MHV_PAGE_FAULT && access.user && access.kind != MHV_EXECUTE &&
        is_descriptor_read(processor, page)) {
        access.implicit = true;
        walk_tables(processor, guest, page, access, &found);
    }
    if ((found.outcome != MHV_MAPPED && found.outcome != MHV_EMULATE) ||
        found.spa >= processor->ram.byte_count)
        return remember_fault(processor, &found, access, page);
    const bool filled = fill_mapped(processor, &found, access.kind, fill);
    if (filled && found.page_bytes > PAGE_BYTES) // behind the flush that the fill may have made
        mhv_remember_large_page(processor, page, found.page_bytes);
    return filled;
}

bool mhv_on_fill(void *engine, uint64_t gva, int type, struct mhv_engine_fill *fill, void *user)
{
    struct mhv_processor *processor = user;

    (void)engine;
    if (processor->dropping_frame && gva == DROP_PAGE)
        return answer(fill, ALIAS + ((processor->dropping_frame - 1) << PAGE_SHIFT),
                      MHV_UC_PROT_READ | MHV_UC_PROT_EXEC);
    if (processor->phase == PHASE_GUEST)
        return fill_guest(processor, gva, type, fill);
    if (processor->phase == PHASE_STUB && (gva == processor->stub_spa || gva == MHV_STUB_PAGE))
        return answer(fill, processor->stub_spa, MHV_UC_PROT_READ | MHV_UC_PROT_EXEC);
    return false; // PHASE_ENTERED: the guest is loaded, and begins when the loop lets it
}

// The engine drops blocks by virtual address only. One that no guest can use is made to mean
// `frame` for the length of one call.
void mhv_drop_blocks(struct mhv_processor *processor, uint64_t frame)
{
    struct mhv_memory *memory = processor->memory;

    mhv_flush_tlb(processor);
    processor->dropping_frame = frame + 1;
    processor->api.ctl(processor->engine, MHV_UC_CTL_REMOVE_CACHE, DROP_PAGE,
                       DROP_PAGE + PAGE_BYTES);
    processor->dropping_frame = 0;
    mhv_flush_tlb(processor);
    memory->frame_flags[frame] &=
        (uint8_t)~(MHV_FRAME_FETCHED | MHV_FRAME_SCANNED | MHV_FRAME_SUSPECT);
    memory->frame_flipped[frame] = processor->epoch;
}

// Frames that the host wrote while the engine held blocks of them. With hardware paging nobody
// knows which frames those are, so all blocks go.
void mhv_drop_stale(struct mhv_processor *processor)
{
    struct mhv_memory *memory = processor->memory;
    const uint64_t frame_count = memory->byte_count >> PAGE_SHIFT;

    if (processor->paging_mode == MHV_PAGING_HARDWARE &&
        processor->writes_seen != memory->write_count)
        processor->api.ctl(processor->engine, MHV_UC_CTL_FLUSH_TB);
    processor->writes_seen = memory->write_count;
    mhv_tell_shadows(processor);
    for (uint64_t frame = 0; memory->stale_count > 0 && frame < frame_count; frame++) {
        if (!(memory->frame_flags[frame] & MHV_FRAME_STALE))
            continue;
        mhv_drop_blocks(processor, frame);
        memory->frame_flags[frame] &= (uint8_t)~MHV_FRAME_STALE;
        memory->stale_count--;
    }
}
