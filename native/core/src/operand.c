// The address of an instruction's memory operand.
//
// Stands for: the address-generation unit.
// Spec: AMD APM vol. 3, "ModRM and SIB Bytes"; vol. 1, "Memory Addressing".
// Simplified: none known.

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

// 16-bit addressing: BX or BP, and SI or DI, or one of the four alone.
static uint64_t base_and_index_16(const struct mhv_silicon *silicon, uint32_t mode, uint32_t form)
{
    static const int8_t bases[8] = {MHV_RBX, MHV_RBX, MHV_RBP, MHV_RBP, -1, -1, MHV_RBP, MHV_RBX};
    static const int8_t indexes[8] = {MHV_RSI, MHV_RDI, MHV_RSI, MHV_RDI, MHV_RSI, MHV_RDI, -1, -1};

    if (mode == 0 && form == 6)
        return 0;
    return (bases[form] < 0 ? 0 : silicon->gpr[bases[form]]) +
           (indexes[form] < 0 ? 0 : silicon->gpr[indexes[form]]);
}

// Whether SS is meant where no prefix says otherwise: by a base of BP, EBP, RBP or of the stack
// pointer.
static bool is_by_stack(const struct mhv_instruction *instruction, bool short_form)
{
    const uint32_t mode = instruction->modrm >> 6, form = instruction->modrm & 7;
    const uint32_t base = instruction->has_sib ? instruction->sib & 7 : form;

    if (short_form)
        return form == 2 || form == 3 || (form == 6 && mode != 0);
    return base == 4 || (base == 5 && mode != 0);
}

// In 64-bit code only FS and GS have a base.
static uint64_t segment_base(const struct mhv_silicon *silicon,
                             const struct mhv_instruction *instruction, bool short_form)
{
    uint32_t name = is_by_stack(instruction, short_form) ? MHV_SS : MHV_DS;

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

// False: the operand is a register.
bool mhv_memory_operand(const struct mhv_silicon *silicon,
                        const struct mhv_instruction *instruction, uint64_t *gva)
{
    const bool long_code = mhv_in_long_code(silicon);
    const uint64_t mask = mhv_address_mask(silicon, instruction);
    const uint32_t mode = instruction->modrm >> 6, base = instruction->modrm & 7;
    uint64_t offset = (uint64_t)instruction->displacement;

    if (!instruction->has_modrm || mode == 3)
        return false;
    if (mask == UINT16_MAX)
        offset += base_and_index_16(silicon, mode, base);
    else if (instruction->has_sib)
        offset += base_and_index(silicon, instruction);
    else if (mode != 0 || base != 5)
        offset += general(silicon, instruction, base, 1);
    else if (long_code)
        offset += silicon->rip + instruction->length;
    offset &= mask;
    offset += segment_base(silicon, instruction, mask == UINT16_MAX);
    *gva = long_code ? offset : (uint32_t)offset;
    return true;
}
