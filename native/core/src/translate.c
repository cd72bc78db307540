// The processor's own looks into a guest's memory: through the guest's tables, as hardware does it.
//
// Stands for: the load and store unit, when microcode uses it (descriptors, stacks, instruction
// bytes). Simplified: accesses are split at page boundaries, not at cache lines; no locked
// descriptor updates.

#include "inside.h"

#include <string.h>

uint32_t mhv_cpl(const struct mhv_silicon *silicon)
{
    return silicon->hflags & MHV_HF_CPL;
}

bool mhv_in_long_code(const struct mhv_silicon *silicon)
{
    return silicon->hflags & MHV_HF_CS64;
}

enum mhv_code_size mhv_code_size(const struct mhv_silicon *silicon)
{
    if (silicon->hflags & MHV_HF_CS64)
        return MHV_CODE_64;
    return silicon->hflags & MHV_HF_CS32 ? MHV_CODE_32 : MHV_CODE_16;
}

// Where the code at offset `rip` of CS lies. Outside 64-bit code an address has 32 bits.
uint64_t mhv_code_address(const struct mhv_silicon *silicon, uint64_t rip)
{
    return mhv_in_long_code(silicon) ? rip : (uint32_t)(silicon->segments[MHV_CS].base + rip);
}

// The bits that count of an address, or of a count, that `instruction` takes from registers.
uint64_t mhv_address_mask(const struct mhv_silicon *silicon,
                          const struct mhv_instruction *instruction)
{
    static const uint64_t masks[MHV_CODE_SIZES] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};

    return masks[mhv_address_size(mhv_code_size(silicon), instruction)];
}

// With CR0.PG = 0 there is no first stage: no levels.
struct mhv_paging mhv_guest_paging(const struct mhv_silicon *silicon)
{
    const uint64_t cr4 = silicon->cr[4];

    return (struct mhv_paging){
        .root = silicon->cr[3],
        .levels = !(silicon->cr[0] & CR0_PG) ? 0
                  : cr4 & CR4_LA57           ? 5
                                             : 4,
        .physical_bits = PHYSICAL_BITS,
        .nxe = silicon->efer & EFER_NXE,
        .wp = silicon->cr[0] & CR0_WP,
        .smep = cr4 & CR4_SMEP,
        .smap = cr4 & CR4_SMAP,
    };
}

// Nested tables have the format of the host's own: four levels, NX in use, and WP set, so that a
// read-only page is read-only for everybody.
struct mhv_paging mhv_second_paging(const struct mhv_vp *vp)
{
    return (struct mhv_paging){
        .root = vp->vmcb->control.nested_cr3,
        .levels = 4,
        .physical_bits = PHYSICAL_BITS,
        .nxe = true,
        .wp = true,
    };
}

void mhv_translate(struct mhv_processor *processor, const struct mhv_silicon *silicon, uint64_t gva,
                   struct mhv_access access, struct mhv_walk_result *ret)
{
    const struct mhv_paging guest = mhv_guest_paging(silicon);
    const struct mhv_paging second = mhv_second_paging(processor->vp);

    processor->walker.walk(processor->walker.user, &guest, &second, gva, &access, ret);
}

static uint32_t within_page(uint64_t gva, uint32_t byte_count)
{
    const uint32_t left = PAGE_BYTES - (uint32_t)(gva & (PAGE_BYTES - 1));
    return byte_count < left ? byte_count : left;
}

// Where `gva` lies, or false with `touch` saying which access was refused and why.
static bool reach(struct mhv_processor *processor, const struct mhv_silicon *silicon, uint64_t gva,
                  struct mhv_access access, uint64_t *spa, struct touch *touch)
{
    touch->access = access;
    touch->gva = gva;
    mhv_translate(processor, silicon, gva, access, &touch->result);
    *spa = touch->result.spa;
    return touch->result.outcome == MHV_MAPPED && *spa < processor->ram.byte_count;
}

bool mhv_guest_read(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                    uint64_t gva, struct mhv_access access, void *target, uint32_t byte_count,
                    struct touch *touch)
{
    uint8_t *to = target;

    for (uint32_t size; byte_count > 0; byte_count -= size, gva += size, to += size) {
        uint64_t spa;
        size = within_page(gva, byte_count);
        if (!reach(processor, silicon, gva, access, &spa, touch))
            return false;
        memcpy(to, processor->ram.bytes + spa, size);
    }
    return true;
}

// Nothing is written when a later page refuses: every page is asked before the first byte moves.
bool mhv_guest_write(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                     uint64_t gva, struct mhv_access access, const void *source,
                     uint32_t byte_count, struct touch *touch)
{
    const uint32_t first = within_page(gva, byte_count);
    const uint8_t *from = source;
    uint64_t spa, rest_spa = 0;

    if (!reach(processor, silicon, gva, access, &spa, touch))
        return false;
    if (byte_count > first && !reach(processor, silicon, gva + first, access, &rest_spa, touch))
        return false;
    mhv_memory_write(processor->memory, spa, from, first);
    if (byte_count > first)
        mhv_memory_write(processor->memory, rest_spa, from + first, byte_count - first);
    return true;
}

// The instruction at RIP, decoded, its bytes in `bytes` (15 of them, zero-filled). False when it
// cannot be fetched whole: the guest changed its tables after the processor had fetched it.
bool mhv_instruction_at(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                        struct mhv_instruction *ret, uint8_t *bytes)
{
    const struct mhv_access access = {.kind = MHV_EXECUTE, .user = mhv_cpl(silicon) == 3};
    const uint64_t gva = mhv_code_address(silicon, silicon->rip);
    const uint32_t first = within_page(gva, INSTRUCTION_BYTES);
    struct touch touch;
    uint32_t count = first;

    memset(bytes, 0, INSTRUCTION_BYTES);
    memset(ret, 0, sizeof *ret);
    if (!mhv_guest_read(processor, silicon, gva, access, bytes, first, &touch))
        return false;
    mhv_decode(bytes, count, mhv_code_size(silicon), ret);
    if (ret->length == 0 && count < INSTRUCTION_BYTES) {
        if (!mhv_guest_read(processor, silicon, gva + first, access, bytes + first,
                            INSTRUCTION_BYTES - first, &touch))
            return false;
        mhv_decode(bytes, INSTRUCTION_BYTES, mhv_code_size(silicon), ret);
    }
    return ret->length > 0;
}
