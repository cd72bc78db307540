// Exits that the core answers itself: CPUID, the time-stamp counter, and the cheapest hypercall.
//
// Stands for: the assembly fast paths of ring -1; RDTSC is no exit at all but the processor's own
// work. Spec: AMD APM vol. 2, "Instruction Intercepts"; TLFS, "Hypercall Interface". Simplified:
// everything else goes back to Python as an exit value.

#include "inside.h"

#include <string.h>

enum { HYPERCALL_LONG_SPIN_WAIT_FAST = 0x10008, RFLAGS_NONE = 0 };

// The registers of one fast exit: the first four are read, those from RIP on are written.
enum { SLOT_RFLAGS, SLOT_RIP, SLOT_RAX, SLOT_RCX, SLOT_RDX, SLOT_RBX, SLOT_COUNT };
enum { READ_COUNT = SLOT_RCX + 1 };
static int slot_names[SLOT_COUNT] = {MHV_UC_RFLAGS, MHV_UC_RIP, MHV_UC_RAX,
                                     MHV_UC_RCX,    MHV_UC_RDX, MHV_UC_RBX};

static void cpuid(const struct mhv_vp *vp, uint64_t *slots)
{
    static const uint32_t nothing[4] = {0};
    const struct mhv_cpuid *table = vp->cpuid;
    const uint32_t leaf = (uint32_t)slots[SLOT_RAX], kind = leaf >> 30, number = leaf & 0x3FFFFFFF;
    const uint32_t *answer = nothing;

    if (kind < 3 && number < table->leaf_count[kind])
        if (slots[SLOT_RCX] << 32 == 0 || !(table->indexed[kind] >> number & 1))
            answer = table->leaves[64 * kind + number];
    slots[SLOT_RAX] = answer[0];
    slots[SLOT_RBX] = answer[1] | (leaf == 1 ? vp->index << 24 : 0);
    slots[SLOT_RCX] = answer[2];
    slots[SLOT_RDX] = answer[3];
}

static bool hypercall(struct mhv_vp *vp, uint64_t *slots)
{
    if (!vp->hypercalls_enabled || slots[SLOT_RCX] != HYPERCALL_LONG_SPIN_WAIT_FAST)
        return false;
    slots[SLOT_RAX] = 0; // HV_STATUS_SUCCESS
    vp->counters.hypercalls[8]++;
    return true;
}

static void read_time(const struct mhv_processor *processor, const struct mhv_vp *vp,
                      uint64_t *slots)
{
    const uint64_t tsc = mhv_tsc(processor, vp);

    slots[SLOT_RAX] = (uint32_t)tsc;
    slots[SLOT_RDX] = tsc >> 32;
}

// The shapes that are answered on the spot; any other (a redundant prefix, RDTSCP) takes the long
// way.
struct shape {
    uint32_t code;
    uint8_t bytes[3];
    uint8_t byte_count;
    uint8_t last_slot; // that is written
};
static const struct shape *shape_of(uint32_t code)
{
    static const struct shape shapes[] = {
        {MHV_SVM_EXIT_CPUID, {0x0F, 0xA2}, 2, SLOT_RBX},
        {MHV_SVM_EXIT_RDTSC, {0x0F, 0x31}, 2, SLOT_RDX},
        {MHV_SVM_EXIT_VMMCALL, {0x0F, 0x01, 0xD9}, 3, SLOT_RAX},
    };

    for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].code == code)
            return &shapes[i];
    return NULL;
}

static struct seen *seen_at(struct mhv_processor *processor, uint64_t rip)
{
    return &processor->seen[(rip ^ rip >> 6) % SEEN_COUNT];
}

static bool answer(struct mhv_processor *processor, struct mhv_vp *vp, uint32_t code,
                   uint64_t *slots)
{
    if (code == MHV_SVM_EXIT_VMMCALL)
        return hypercall(vp, slots);
    if (code == MHV_SVM_EXIT_RDTSC)
        read_time(processor, vp, slots);
    else if (vp->cpuid)
        cpuid(vp, slots);
    return code == MHV_SVM_EXIT_RDTSC || vp->cpuid;
}

static bool is_requested(const struct mhv_vp *vp, uint32_t code)
{
    return vp->vmcb->control.intercept_instructions1 >> (code - 0x60) & 1;
}

// Called inside the engine's hook. True: answered, the guest goes on behind the instruction.
bool mhv_exit_in_core(struct mhv_processor *processor, struct mhv_vp *vp, uint32_t code)
{
    const struct shape *shape = shape_of(code);
    uint64_t slots[SLOT_COUNT];
    void *values[SLOT_COUNT] = {&slots[0], &slots[1], &slots[2], &slots[3], &slots[4], &slots[5]};
    uint16_t cs = 0;

    if (!shape || mhv_trace_is_full(vp))
        return false;
    processor->api.reg_read_batch(processor->engine, slot_names, values, READ_COUNT);
    if (slots[SLOT_RFLAGS] & RFLAGS_TF)
        return false; // a #DB is to follow
    const struct seen *seen = seen_at(processor, slots[SLOT_RIP]);
    if (seen->rip != slots[SLOT_RIP] || seen->fetch_fills != processor->fetch_fills ||
        memcmp(processor->ram.bytes + seen->spa, shape->bytes, shape->byte_count) != 0)
        return false;
    if (code == MHV_SVM_EXIT_VMMCALL) {
        processor->api.reg_read(processor->engine, MHV_UC_CS, &cs);
        if (cs & 3)
            return false;
    }
    if (!answer(processor, vp, code, slots))
        return false;
    if (code != MHV_SVM_EXIT_RDTSC || is_requested(vp, code)) {
        mhv_tell(vp, processor->blocks, MHV_TRACE_EXIT, slots[SLOT_RIP], code, 0, 0);
        vp->counters.exits[code]++;
    }
    slots[SLOT_RIP] += shape->byte_count;
    processor->api.reg_write_batch(processor->engine, slot_names + SLOT_RIP, values + SLOT_RIP,
                                   shape->last_slot);
    return true;
}

// Remembers where the instruction lies, for the next time; only whole within a page, and only where
// our walk serves the fetches.
static void remember(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                     uint32_t byte_count)
{
    const struct mhv_access access = {.kind = MHV_EXECUTE, .user = mhv_cpl(silicon) == 3};
    struct mhv_walk_result found;

    if (processor->paging_mode == MHV_PAGING_HARDWARE || !mhv_in_long_code(silicon) ||
        (silicon->rip & (PAGE_BYTES - 1)) + byte_count > PAGE_BYTES)
        return;
    mhv_translate(processor, silicon, silicon->rip, access, &found);
    if (found.outcome == MHV_MAPPED && found.spa + byte_count <= processor->ram.byte_count)
        *seen_at(processor, silicon->rip) =
            (struct seen){silicon->rip, found.spa, processor->fetch_fills};
}

// The long way, with the whole state at hand. Exits that stay with the hypervisor end in NEXT_EXIT.
enum next mhv_handle_exit(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon, uint32_t code)
{
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    uint64_t *gpr = silicon->gpr;
    uint64_t slots[SLOT_COUNT] = {[SLOT_RAX] = gpr[MHV_RAX],
                                  [SLOT_RCX] = gpr[MHV_RCX],
                                  [SLOT_RDX] = gpr[MHV_RDX],
                                  [SLOT_RBX] = gpr[MHV_RBX]};
    const struct shape *shape = shape_of(code);

    mhv_instruction_at(processor, silicon, &instruction, bytes);
    if (code < MHV_SVM_EXIT_NPF) {
        vp->vmcb->control.next_rip = silicon->rip + instruction.length;
        vp->vmcb->control.fetched_byte_count = instruction.length;
        memcpy(vp->vmcb->control.fetched_bytes, bytes, INSTRUCTION_BYTES);
    }
    mhv_exit(vp, processor->blocks, code, silicon->error_code, 0);
    if (!shape || code == MHV_SVM_EXIT_RDTSC)
        return NEXT_EXIT;
    if (instruction.length == shape->byte_count)
        remember(processor, silicon, shape->byte_count);
    if ((code == MHV_SVM_EXIT_VMMCALL && mhv_cpl(silicon) != 0) ||
        !answer(processor, vp, code, slots))
        return NEXT_EXIT;
    gpr[MHV_RAX] = slots[SLOT_RAX];
    gpr[MHV_RCX] = slots[SLOT_RCX];
    gpr[MHV_RDX] = slots[SLOT_RDX];
    gpr[MHV_RBX] = slots[SLOT_RBX];
    silicon->rip += instruction.length; // an interrupt shadow stays, as behind a fast exit
    return mhv_trap_single_step(processor, vp, silicon);
}
