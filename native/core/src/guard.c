// Keeps machine code that would kill the engine from its translator.
//
// Stands for: nothing in the hardware; a moat around an engine that trusts its input.
// Simplified: weighs what one engine, Unicorn 2.1, was measured to do (docs/decisions/010-guard).

#include "minihv/guard.h"

#include "minihv/decode.h"

#include "forms.h"

#include <string.h>

enum { PAGE_BYTES = 4096, LONGEST = 15 };

// The translator keeps 512 temporaries for a block and does not count them. A block holds 51 before
// its first instruction, up to 8 more while it translates any, and those that instructions leave
// behind: their weight, 0 to 4. A block runs on into one further page at most.
enum { ONE_PAGE_LIMIT = 416, TWO_PAGE_LIMIT = ONE_PAGE_LIMIT / 2, HEAVIEST = 4 };

// What opcodes leave behind, in the order of their forms: 1 or 2; . for nothing; x where the block
// surely ends. - and + stand for nothing and 1 outside 64-bit code, which does not have them.
static const char ONE_BYTE_WEIGHTS[] = "......-+......-."  // 00  POP ES
                                       "......-+......-+"  // 10  POP SS, POP DS
                                       ".......-.......-"  // 20
                                       ".......-.......-"  // 30
                                       "................"  // 40
                                       "................"  // 50
                                       "---............."  // 60
                                       "xxxxxxxxxxxxxxxx"  // 70
                                       "..-...........1."  // 80  MOV to a segment register
                                       "..........x.2..."  // 90  PUSHF
                                       "................"  // A0
                                       "................"  // B0
                                       "..xx++....xxxx+x"  // C0  LES, LDS, INTO
                                       "....++-.22222222"  // D0  AAM, AAD, x87
                                       "xxxx....xxxx...."  // E0
                                       ".x..x..........."; // F0

static const char TWO_BYTE_WEIGHTS[] =
    "22...x.x22.x...."  // 00  SLDT ... VERW, SGDT ... INVLPG, INVD, WBINVD
    "................"  // 10
    "12.............."  // 20  MOV from a control, a debug register
    "....xx.........."  // 30
    "................"  // 40
    "................"  // 50
    "................"  // 60
    "1.......2......."  // 70  PSHUF*, EXTRQ and INSERTQ
    "xxxxxxxxxxxxxxxx"  // 80
    "................"  // 90
    ".1.......1......"  // A0  POP FS, POP GS
    "..1.11.........."  // B0  LSS, LFS, LGS
    "......1........."  // C0  SHUFP*
    "................"  // D0
    "................"  // E0
    "................"; // F0

static unsigned number(char weight)
{
    return weight >= '0' && weight <= '4' ? (unsigned)(weight - '0') : weight == '+';
}

// x87 instructions leave one behind for the operand in memory, two for the register.
static char one_byte_weight(uint8_t opcode, uint8_t modrm)
{
    const bool x87 = (opcode & 0xF8) == 0xD8;
    return x87 && modrm < 0xC0 ? '1' : ONE_BYTE_WEIGHTS[opcode];
}

enum prefix {
    PREFIX_NONE = 0,
    PREFIX_OTHER = 1,
    PREFIX_OPERAND = 2,
    PREFIX_ADDRESS = 4,
    PREFIX_REPEAT = 8,
    PREFIX_REX = 16, // in 64-bit code
};

static const uint8_t PREFIXES[256] = {
    [0x26] = PREFIX_OTHER, [0x2E] = PREFIX_OTHER,  [0x36] = PREFIX_OTHER,   [0x3E] = PREFIX_OTHER,
    [0x40] = PREFIX_REX,   [0x41] = PREFIX_REX,    [0x42] = PREFIX_REX,     [0x43] = PREFIX_REX,
    [0x44] = PREFIX_REX,   [0x45] = PREFIX_REX,    [0x46] = PREFIX_REX,     [0x47] = PREFIX_REX,
    [0x48] = PREFIX_REX,   [0x49] = PREFIX_REX,    [0x4A] = PREFIX_REX,     [0x4B] = PREFIX_REX,
    [0x4C] = PREFIX_REX,   [0x4D] = PREFIX_REX,    [0x4E] = PREFIX_REX,     [0x4F] = PREFIX_REX,
    [0x64] = PREFIX_OTHER, [0x65] = PREFIX_OTHER,  [0x66] = PREFIX_OPERAND, [0x67] = PREFIX_ADDRESS,
    [0xF0] = PREFIX_OTHER, [0xF2] = PREFIX_REPEAT, [0xF3] = PREFIX_REPEAT,
};

// Bytes behind opcode and memory operand by form (see forms.h), for operands of 16, 32 and 64 bits;
// for o, addresses. ModRM that the translator takes for a register whatever it says: r alone, R
// with imm8, W with two.
static const uint8_t TAILS['z' + 1][MHV_CODE_SIZES] = {
    ['b'] = {1, 1, 1}, ['B'] = {1, 1, 1}, ['w'] = {2, 2, 2}, ['z'] = {2, 4, 4},
    ['Z'] = {2, 4, 4}, ['v'] = {2, 4, 8}, ['e'] = {3, 3, 3}, ['f'] = {4, 6, 6},
    ['o'] = {2, 4, 8}, ['r'] = {1, 1, 1}, ['R'] = {2, 2, 2}, ['W'] = {3, 3, 3},
};

// One instruction as the translator sees it: where it has got to, and what it knows by then.
struct view {
    const uint8_t *next;
    unsigned prefixes;
    enum mhv_code_size operand;
    enum mhv_code_size address;
    char form;
    char weight;
};

// False when there are too many.
static bool pass_prefixes(struct view *view, enum mhv_code_size code)
{
    const uint8_t *first = view->next;
    const unsigned known = code == MHV_CODE_64 ? 0xFF : 0xFF & ~(unsigned)PREFIX_REX;
    unsigned last = 0;
    for (unsigned kind; (kind = PREFIXES[*view->next] & known) != 0; last = *view->next++)
        if (view->next - first == LONGEST)
            return false;
        else
            view->prefixes |= kind;

    const bool operand = view->prefixes & PREFIX_OPERAND;
    const bool address = view->prefixes & PREFIX_ADDRESS;
    view->operand = (code == MHV_CODE_16) == operand ? MHV_CODE_32 : MHV_CODE_16;
    view->address = (code == MHV_CODE_16) == address ? MHV_CODE_32 : MHV_CODE_16;
    if (code == MHV_CODE_64) {
        view->address = address ? MHV_CODE_32 : MHV_CODE_64;
        view->operand = (last & 0xF8) == 0x48 ? MHV_CODE_64 : view->operand;
    }
    return true;
}

static void pass_three_byte(struct view *view, uint8_t escape)
{
    const uint8_t opcode = *view->next++;
    if (escape == 0x3A) {
        view->form = 'B';
        view->weight = opcode == 0x21 ? '4' : '1'; // INSERTPS clears up to four elements
    } else {
        view->form = 'm';
        view->weight = (opcode & 0xFE) == 0xF0 ? '1' : '.'; // CRC32
    }
}

// Where the translator takes the operand for a register, whatever ModRM says.
static char form_of_two_byte(const struct view *view, uint8_t opcode)
{
    switch (opcode) {
    case 0x20: // MOV from and to control and debug registers
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x50: // MOVMSKP*
        return 'r';
    case 0x71: // vector shifts by an immediate
    case 0x72:
    case 0x73:
        return 'R';
    case 0x78: // EXTRQ, INSERTQ
        return 'W';
    case 0xD6: // MOVQ2DQ, MOVDQ2Q
        return view->prefixes & PREFIX_REPEAT && !(view->prefixes & PREFIX_OPERAND) ? 'r' : 'm';
    default:
        return mhv_two_byte_forms[opcode];
    }
}

// The opcode behind 0F, or behind a VEX prefix that says 0F: the translator finds the further maps
// under 38 and 3A in either case.
static void pass_two_byte(struct view *view)
{
    const uint8_t opcode = *view->next++;
    if (opcode == 0x38 || opcode == 0x3A) {
        pass_three_byte(view, opcode);
        return;
    }
    view->form = form_of_two_byte(view, opcode);
    view->weight = TWO_BYTE_WEIGHTS[opcode];
}

static void pass_vex(struct view *view)
{
    static const uint8_t prefixes[] = {0, PREFIX_OPERAND, PREFIX_REPEAT, PREFIX_REPEAT};
    const bool long_form = *view->next == 0xC4;
    const unsigned map = long_form ? view->next[1] & 0x1F : 1;
    view->prefixes |= prefixes[view->next[long_form ? 2 : 1] & 3];
    view->next += long_form ? 3 : 2;
    if (map == 1)
        pass_two_byte(view);
    else if (map == 2 || map == 3)
        pass_three_byte(view, map == 2 ? 0x38 : 0x3A);
    else
        view->weight = 'x';
}

static void pass_opcode(struct view *view, enum mhv_code_size code)
{
    const uint8_t opcode = *view->next;
    const bool vex = (opcode & 0xFE) == 0xC4 && code != MHV_CODE_16;
    if (vex && (code == MHV_CODE_64 || view->next[1] >= 0xC0)) {
        pass_vex(view);
        return;
    }
    view->next++;
    if (opcode == 0x0F) {
        pass_two_byte(view);
        return;
    }
    const bool near_or_far = opcode == 0xFF && (*view->next & 0x38) - 0x10u < 0x20; // CALL, JMP
    const char weight = one_byte_weight(opcode, *view->next);
    const bool gone = code == MHV_CODE_64 && (weight == '-' || weight == '+');
    view->form = mhv_one_byte_forms[opcode];
    view->weight = near_or_far || gone ? 'x' : weight;
}

static unsigned memory_bytes(const uint8_t *modrm, enum mhv_code_size address)
{
    static const uint8_t displacements[MHV_CODE_SIZES][4] = {
        {0, 1, 2, 0}, {0, 1, 4, 0}, {0, 1, 4, 0}};
    const uint8_t mode = *modrm >> 6;
    const unsigned displacement = displacements[address][mode];
    if (mode == 3)
        return 1;
    if (address == MHV_CODE_16)
        return 1 + ((*modrm & 0xC7) == 0x06 ? 2 : displacement);
    const bool sib = (*modrm & 7) == 4;
    const uint8_t base = modrm[sib] & 7;
    return 1 + sib + (mode == 0 && base == 5 ? 4 : displacement);
}

static void pass_operands(struct view *view)
{
    const uint8_t *modrm = view->next;
    const bool tests = (*modrm & 0x38) < 0x10; // group 3: only TEST has an immediate
    const bool group_3 = view->form == 'g' || view->form == 'G';
    unsigned tail = (unsigned char)view->form;
    if (group_3)
        tail = !tests ? '.' : view->form == 'g' ? 'b' : 'z';
    if (group_3 || tail == 'm' || tail == 'B' || tail == 'Z')
        view->next += memory_bytes(modrm, view->address);
    view->next += TAILS[tail][tail == 'o' ? view->address : view->operand];
}

// Bytes of the instruction at `at`, or 0 when the block surely ends with it. `*weight` is what it
// leaves. Reads up to 32 bytes.
static unsigned weigh(const uint8_t *at, enum mhv_code_size code, unsigned *weight)
{
    struct view view = {.next = at};
    *weight = 0;
    if (!pass_prefixes(&view, code))
        return 0;
    pass_opcode(&view, code);
    if (view.weight == 'x')
        return 0;
    pass_operands(&view);
    *weight = number(view.weight);
    return view.next - at > LONGEST ? 0 : (unsigned)(view.next - at);
}

// True if a block that comes from the page before, into any of the first bytes, leaves too much
// behind.
static bool overflows_entering(const uint8_t *page, unsigned byte_count, enum mhv_code_size code)
{
    int16_t left[PAGE_BYTES + LONGEST + 1]; // on the way to each byte, the most; below 0: no way
    memset(left, 0xFF, sizeof left);
    memset(left, 0, LONGEST * sizeof left[0]);
    for (unsigned i = 0, end = LONGEST; i < end && i < byte_count; i++) {
        unsigned weight;
        const unsigned length = left[i] < 0 ? 0 : weigh(page + i, code, &weight);
        const unsigned next = i + length;
        if (length == 0)
            continue;
        const int sum = left[i] + (int)(next > byte_count ? HEAVIEST : weight);
        if (sum > TWO_PAGE_LIMIT)
            return true;
        if (left[next] < sum)
            left[next] = (int16_t)sum;
        if (end <= next)
            end = next + 1;
    }
    return false;
}

// True if a block that goes on into the next page leaves too much behind on this one; with `whole`,
// if any block does. Backwards: the run from a byte is one instruction, and the run from the byte
// behind it.
static bool overflows(const uint8_t *page, unsigned byte_count, enum mhv_code_size code, bool whole)
{
    enum { OPEN = 0x8000 }; // the run goes on
    uint16_t runs[PAGE_BYTES];
    unsigned open = byte_count; // no run from below this byte, less one instruction, goes on
    unsigned i = byte_count;
    while (i > 0 && (whole || i + LONGEST > open)) {
        unsigned weight;
        i--;
        const unsigned length = weigh(page + i, code, &weight);
        const unsigned next = i + length;
        runs[i] = 0;
        if (length && next < byte_count)
            runs[i] = (uint16_t)(runs[next] + weight);
        else if (length)
            runs[i] = (uint16_t)(OPEN + (next == byte_count ? weight : HEAVIEST));
        if (runs[i] >= OPEN)
            open = i;
        if ((runs[i] & (OPEN - 1)) > (runs[i] >= OPEN ? TWO_PAGE_LIMIT : ONE_PAGE_LIMIT))
            return true;
    }
    return false;
}

// What the instruction with its opcode at `at` leaves behind at most, in code of any size.
static unsigned ceiling(const uint8_t *at)
{
    const bool vex = (*at & 0xFE) == 0xC4;
    const unsigned map = *at == 0xC4 ? at[1] & 0x1F : 1;
    const uint8_t two = at[*at == 0xC4 ? 3 : *at == 0xC5 ? 2 : 1];
    if (*at != 0x0F && !vex)
        return number(one_byte_weight(*at, at[1]));
    if (map == 3 || (map == 1 && two == 0x3A))
        return HEAVIEST;
    const unsigned weight = map == 1 && two != 0x38 ? number(TWO_BYTE_WEIGHTS[two]) : 1;
    return weight || *at == 0x0F ? weight : 1; // LES, LDS
}

// What all opcodes that the page could hold leave behind together: no run exceeds it.
static unsigned page_ceiling(const uint8_t *page, unsigned byte_count)
{
    unsigned sum = HEAVIEST; // an opcode on the next page
    for (unsigned i = 0; i < byte_count; i++)
        sum += ceiling(page + i);
    return sum;
}

// BT, BTS, BTR and BTC of a register: with LOCK, the translator aborts.
static bool is_bit_test(const uint8_t *opcode_and_modrm)
{
    const uint8_t opcode = opcode_and_modrm[0], modrm = opcode_and_modrm[1];
    return modrm >= 0xC0 && ((opcode & 0xE7) == 0xA3 || (opcode == 0xBA && modrm >= 0xE0));
}

// True if prefixes from `i` on lead to a bit test; where the page ends behind 0F, it is taken for
// one.
static bool leads_to_bit_test(const uint8_t *page, unsigned byte_count, unsigned i)
{
    const unsigned last = i + LONGEST < byte_count ? i + LONGEST : byte_count;
    while (i < last && PREFIXES[page[i]])
        i++;
    if (i == last || page[i] != 0x0F)
        return false;
    if (i + 1 == byte_count)
        return true;
    uint8_t both[] = {page[i + 1], 0xFF};
    if (i + 2 < byte_count)
        both[1] = page[i + 2];
    return is_bit_test(both);
}

// An instruction that begins on the page before and shows its 0F only here counts as well.
static bool holds_forbidden(const uint8_t *page, unsigned byte_count)
{
    for (unsigned i = 0; i < byte_count; i++)
        if ((i == 0 || page[i] == 0xF0) && leads_to_bit_test(page, byte_count, i))
            return true;
    return false;
}

bool mhv_guard_suspects(const uint8_t *page, uint32_t byte_count)
{
    uint8_t padded[PAGE_BYTES + 2 * LONGEST] = {0};
    if (byte_count > PAGE_BYTES)
        return true;
    memcpy(padded, page, byte_count);
    if (holds_forbidden(padded, byte_count))
        return true;
    const unsigned most = page_ceiling(padded, byte_count);
    for (enum mhv_code_size code = MHV_CODE_16; code < MHV_CODE_SIZES && most > TWO_PAGE_LIMIT;
         code++)
        if (overflows_entering(padded, byte_count, code) ||
            overflows(padded, byte_count, code, most > ONE_PAGE_LIMIT))
            return true;
    return false;
}

bool mhv_guard_forbids(const uint8_t *bytes, uint32_t byte_count)
{
    struct mhv_instruction instruction;
    // What is REX in 64-bit code is INC and DEC in other, which raise #UD with LOCK too.
    mhv_decode(bytes, byte_count, MHV_CODE_64, &instruction);
    const uint8_t both[] = {instruction.opcode, instruction.modrm};
    return instruction.length && !instruction.invalid && instruction.lock &&
           instruction.map == MHV_MAP_0F && is_bit_test(both);
}
