// The address of an instruction's memory operand.
//
// Stands for: the address-generation unit.
// Spec: AMD APM vol. 3, "ModRM and SIB Bytes"; vol. 1, "Memory Addressing".
// Simplified: no 16-bit addressing, no RIP-relative form outside of 64-bit code.

#include "inside.h"

static uint64_t general(const struct mhv_silicon *silicon,
                        const struct mhv_instruction *instruction, uint32_t number,
                        uint32_t rex_bit)
{
    return silicon->gpr[(number & 7) | (instruction->rex & rex_bit ? 8 : 0)];
}

static uint64_t base_and_index(const struct mhv_silicon *silicon,
                               const struct mhv_instruction *instruction)
{
    const uint32_t sib = instruction->sib, mode = instruction->modrm >> 6;
    const bool has_index = (sib >> 3 & 7) != 4 || instruction->rex & 2;
    const bool has_base = (sib & 7) != 5 || mode != 0;

    return (has_base ? general(silicon, instruction, sib, 1) : 0) +
           (has_index ? general(silicon, instruction, sib >> 3, 2) << (sib >> 6) : 0);
}

// In 64-bit code only FS and GS have a base.
static uint64_t segment_base(const struct mhv_silicon *silicon,
                             const struct mhv_instruction *instruction)
{
    const uint32_t base_register =
        instruction->has_sib ? instruction->sib & 7 : instruction->modrm & 7;
    const bool by_stack = (base_register == 4 || base_register == 5) && instruction->modrm >> 6;
    uint32_t name = by_stack ? MHV_SS : MHV_DS;

    switch (instruction->segment) {
    case 0x26:
        name = MHV_ES;
        break;
    case 0x2E:
        name = MHV_CS;
        break;
    case 0x36:
        name = MHV_SS;
        break;
    case 0x3E:
        name = MHV_DS;
        break;
    case 0x64:
        name = MHV_FS;
        break;
    case 0x65:
        name = MHV_GS;
        break;
    default:
        break;
    }
    if (mhv_in_long_code(silicon) && name != MHV_FS && name != MHV_GS)
        return 0;
    return silicon->segments[name].base;
}

// False: the operand is a register, or its address has a form that is not known here.
bool mhv_memory_operand(const struct mhv_silicon *silicon,
                        const struct mhv_instruction *instruction, uint64_t *gva)
{
    const bool long_code = mhv_in_long_code(silicon);
    const uint32_t mode = instruction->modrm >> 6, base = instruction->modrm & 7;
    uint64_t offset = (uint64_t)instruction->displacement;

    if (!instruction->has_modrm || mode == 3 || (!long_code && instruction->address_size))
        return false;
    if (instruction->has_sib)
        offset += base_and_index(silicon, instruction);
    else if (mode != 0 || base != 5)
        offset += general(silicon, instruction, base, 1);
    else if (long_code)
        offset += silicon->rip + instruction->length;
    if (!long_code || instruction->address_size)
        offset = (uint32_t)offset;
    offset += segment_base(silicon, instruction);
    *gva = long_code ? offset : (uint32_t)offset;
    return true;
}
