// Length and parts of one machine instruction.
//
// Stands for: the instruction-length decoder at the front of a logical processor.
// Spec: AMD APM vol. 3, "Instruction Encoding" and "Opcode and Operand Encodings".
// Simplified: knows how long instructions are and where their parts lie, not which operands each
//     takes; no XOP, no VEX in 16-bit code; a near branch with 66 has a 16-bit displacement, as on
//     AMD.

#include "minihv/decode.h"

#include "forms.h"

#include <string.h>

enum { LONGEST = 15 };

const char mhv_one_byte_forms[] = "mmmmbz..mmmmbz.."  // 00
                                  "mmmmbz..mmmmbz.."  // 10
                                  "mmmmbz..mmmmbz.."  // 20
                                  "mmmmbz..mmmmbz.."  // 30
                                  "................"  // 40
                                  "................"  // 50
                                  "..mm....zZbB...."  // 60
                                  "bbbbbbbbbbbbbbbb"  // 70
                                  "BZBBmmmmmmmmmmmm"  // 80
                                  "..........f....."  // 90
                                  "oooo....bz......"  // A0
                                  "bbbbbbbbvvvvvvvv"  // B0
                                  "BBw.mmBZe.w..b.."  // C0
                                  "mmmmbb..mmmmmmmm"  // D0
                                  "bbbbbbbbzzfb...."  // E0
                                  "......gG......mm"; // F0

const char mhv_two_byte_forms[] = "mmmm-.....-.-m.B"  // 00
                                  "mmmmmmmmmmmmmmmm"  // 10
                                  "mmmm----mmmmmmmm"  // 20
                                  "......-.--------"  // 30
                                  "mmmmmmmmmmmmmmmm"  // 40
                                  "mmmmmmmmmmmmmmmm"  // 50
                                  "mmmmmmmmmmmmmmmm"  // 60
                                  "BBBBmmm.mm--mmmm"  // 70
                                  "zzzzzzzzzzzzzzzz"  // 80
                                  "mmmmmmmmmmmmmmmm"  // 90
                                  "...mBm--...mBmmm"  // A0
                                  "mmmmmmmmmmBmmmmm"  // B0
                                  "mmBmBBBm........"  // C0
                                  "mmmmmmmmmmmmmmmm"  // D0
                                  "mmmmmmmmmmmmmmmm"  // E0
                                  "mmmmmmmmmmmmmmmm"; // F0

// A reader of bytes. `next` goes beyond `count` when more was asked for than there is.
struct cursor {
    const uint8_t *bytes;
    int count;
    int next;
    enum mhv_code_size code;
};

static uint8_t peek(const struct cursor *at, int ahead)
{
    return at->next + ahead < at->count ? at->bytes[at->next + ahead] : 0;
}

static uint8_t take(struct cursor *at)
{
    const uint8_t byte = peek(at, 0);
    at->next++;
    return byte;
}

static uint64_t take_number(struct cursor *at, int byte_count)
{
    uint64_t number = 0;
    for (int i = 0; i < byte_count; i++)
        number |= (uint64_t)take(at) << (8 * i);
    return number;
}

// False at the first byte that is no legacy prefix.
static bool is_prefix(uint8_t byte, struct mhv_instruction *ret)
{
    switch (byte) {
    case 0xF0:
        ret->lock = true;
        return true;
    case 0xF2:
        ret->repeat_not_equal = true;
        return true;
    case 0xF3:
        ret->repeat = true;
        return true;
    case 0x66:
        ret->operand_size = true;
        return true;
    case 0x67:
        ret->address_size = true;
        return true;
    case 0x26:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x64:
    case 0x65:
        ret->segment = byte;
        return true;
    default:
        return false;
    }
}

// A REX byte counts only where the opcode follows it.
static void take_prefixes(struct cursor *at, struct mhv_instruction *ret)
{
    for (; at->next < at->count; ret->prefix_count++) {
        const uint8_t byte = peek(at, 0);
        if (is_prefix(byte, ret))
            ret->rex = 0;
        else if (at->code == MHV_CODE_64 && (byte & 0xF0) == 0x40)
            ret->rex = byte;
        else
            break;
        take(at);
    }
}

// VEX (C4, C5) and EVEX (62) hold prefixes, REX and map; in 32-bit code they are LES, LDS and BOUND
// unless the next byte says "register", in 16-bit code always.
static bool take_vex(struct cursor *at, struct mhv_instruction *ret)
{
    const uint8_t byte = peek(at, 0);
    if ((byte != 0xC4 && byte != 0xC5 && byte != 0x62) || at->count - at->next < 2)
        return false;
    if (at->code == MHV_CODE_16 || (at->code == MHV_CODE_32 && (peek(at, 1) & 0xC0) != 0xC0))
        return false;

    ret->vex = true;
    ret->invalid =
        ret->lock || ret->operand_size || ret->repeat || ret->repeat_not_equal || ret->rex;
    take(at);
    const uint8_t first = take(at);
    ret->map = MHV_MAP_0F;
    if (byte != 0xC5) {
        ret->map = first & (byte == 0x62 ? 0x07 : 0x1F);
        take(at);
    }
    if (byte == 0x62)
        take(at);
    if (ret->map < MHV_MAP_0F || ret->map > MHV_MAP_0F3A) {
        ret->invalid = true;
        ret->map = MHV_MAP_0F;
    }
    ret->opcode = take(at);
    return true;
}

static void take_opcode(struct cursor *at, struct mhv_instruction *ret)
{
    if (take_vex(at, ret))
        return;
    ret->opcode = take(at);
    if (ret->opcode != 0x0F)
        return;
    ret->map = MHV_MAP_0F;
    ret->opcode = take(at);
    if (ret->opcode == 0x38 || ret->opcode == 0x3A) {
        ret->map = ret->opcode == 0x38 ? MHV_MAP_0F38 : MHV_MAP_0F3A;
        ret->opcode = take(at);
    }
}

// One-byte opcodes that 64-bit code has not.
static bool gone_in_64(uint8_t opcode)
{
    switch (opcode) {
    case 0x06:
    case 0x07:
    case 0x0E:
    case 0x16:
    case 0x17:
    case 0x1E:
    case 0x1F:
    case 0x27:
    case 0x2F:
    case 0x37:
    case 0x3F:
    case 0x60:
    case 0x61:
    case 0x82:
    case 0x9A:
    case 0xCE:
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xEA:
        return true;
    default:
        return false;
    }
}

static char form_of(const struct cursor *at, const struct mhv_instruction *instruction)
{
    const uint8_t opcode = instruction->opcode;
    switch (instruction->map) {
    case MHV_MAP_ONE_BYTE:
        return at->code == MHV_CODE_64 && gone_in_64(opcode) ? '-' : mhv_one_byte_forms[opcode];
    case MHV_MAP_0F:
        return mhv_two_byte_forms[opcode];
    case MHV_MAP_0F38:
        return 'm';
    default:
        return 'B';
    }
}

// Bytes of displacement behind ModRM (and SIB), 16-bit addressing.
static int displacement_bytes_16(uint8_t modrm)
{
    static const int by_mode[] = {0, 1, 2, 0};
    return (modrm & 0xC7) == 0x06 ? 2 : by_mode[modrm >> 6];
}

// The same for 32- and 64-bit addressing; `base` is the low three bits of ModRM or, where present,
// SIB.
static int displacement_bytes_32(uint8_t modrm, uint8_t base)
{
    static const int by_mode[] = {0, 1, 4, 0};
    return modrm < 0x40 && base == 5 ? 4 : by_mode[modrm >> 6];
}

static void take_modrm(struct cursor *at, struct mhv_instruction *ret)
{
    const bool only_registers = ret->map == MHV_MAP_0F && (ret->opcode & 0xFC) == 0x20;
    ret->has_modrm = true;
    ret->modrm = take(at);
    if (ret->modrm >= 0xC0 || only_registers)
        return;

    int byte_count;
    if (mhv_address_size(at->code, ret) == MHV_CODE_16) {
        byte_count = displacement_bytes_16(ret->modrm);
    } else {
        ret->has_sib = (ret->modrm & 7) == 4;
        if (ret->has_sib)
            ret->sib = take(at);
        byte_count = displacement_bytes_32(ret->modrm, (ret->has_sib ? ret->sib : ret->modrm) & 7);
    }
    ret->displacement_bytes = (uint8_t)byte_count;
    const uint64_t number = take_number(at, byte_count);
    ret->displacement = byte_count == 1   ? (int8_t)number
                        : byte_count == 2 ? (int16_t)number
                                          : (int32_t)number;
}

// Bytes of immediate that `form` asks for.
static int immediate_bytes(const struct cursor *at, const struct mhv_instruction *instruction,
                           char form)
{
    const bool wide = (instruction->rex & 8) != 0;
    const bool narrow = instruction->operand_size != (at->code == MHV_CODE_16);
    const int full = narrow && !wide ? 2 : 4;
    const bool tests = (instruction->modrm & 0x38) < 0x10; // group 3: only TEST has an immediate
    switch (form) {
    case 'b':
    case 'B':
        return 1;
    case 'w':
        return 2;
    case 'e':
        return 3;
    case 'z':
    case 'Z':
        return full;
    case 'v':
        return wide ? 8 : full;
    case 'f':
        return full + 2;
    case 'g':
        return tests ? 1 : 0;
    case 'G':
        return tests ? full : 0;
    case 'o':
        return 2 << mhv_address_size(at->code, instruction);
    default:
        return 0;
    }
}

static void take_operands(struct cursor *at, struct mhv_instruction *ret)
{
    const char form = form_of(at, ret);
    const bool extrq = ret->map == MHV_MAP_0F && ret->opcode == 0x78 && !ret->vex &&
                       (ret->operand_size || ret->repeat_not_equal); // and INSERTQ: two imm8
    if (form == '-')
        ret->invalid = true;
    if (strchr("mBZgG", form))
        take_modrm(at, ret);
    ret->immediate_bytes = (uint8_t)(extrq ? 2 : immediate_bytes(at, ret, form));
    ret->immediate = take_number(at, ret->immediate_bytes);
    if (ret->map == MHV_MAP_0F && ret->opcode == 0x0F && !ret->vex) {
        ret->map = MHV_MAP_3DNOW;
        ret->opcode = (uint8_t)ret->immediate;
    }
}

enum mhv_code_size mhv_address_size(enum mhv_code_size code,
                                    const struct mhv_instruction *instruction)
{
    if (!instruction->address_size)
        return code;
    return code == MHV_CODE_32 ? MHV_CODE_16 : MHV_CODE_32;
}

// Members of opcode groups that no processor defines.
static bool undefined_in_group(const struct mhv_instruction *instruction)
{
    const uint8_t reg = (instruction->modrm >> 3) & 7;
    if (instruction->map == MHV_MAP_0F)
        return instruction->opcode == 0xBA && reg < 4;
    if (instruction->map != MHV_MAP_ONE_BYTE)
        return false;
    switch (instruction->opcode) {
    case 0x8F:
        return reg != 0;
    case 0xC6:
    case 0xC7:
        return reg != 0 && instruction->modrm != 0xF8; // XABORT, XBEGIN
    case 0xFE:
        return reg > 1;
    case 0xFF:
        return reg > 6;
    default:
        return false;
    }
}

void mhv_decode(const uint8_t *bytes, uint32_t byte_count, enum mhv_code_size code,
                struct mhv_instruction *ret)
{
    const int readable = byte_count < LONGEST ? (int)byte_count : LONGEST;
    struct cursor at = {bytes, readable, 0, code};

    memset(ret, 0, sizeof *ret);
    take_prefixes(&at, ret);
    take_opcode(&at, ret);
    take_operands(&at, ret);
    if (undefined_in_group(ret))
        ret->invalid = true;
    if (at.next <= readable) {
        ret->length = (uint8_t)at.next;
    } else if (readable == LONGEST) {
        ret->length = LONGEST;
        ret->invalid = true;
    }
}
