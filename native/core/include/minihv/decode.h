#ifndef MINIHV_DECODE_H
#define MINIHV_DECODE_H
#include <stdbool.h>
#include <stdint.h>

// Opcode maps.  Spec: AMD APM vol. 3, "Opcode and Operand Encodings".
enum mhv_opcode_map {
    MHV_MAP_ONE_BYTE = 0,
    MHV_MAP_0F = 1,
    MHV_MAP_0F38 = 2,
    MHV_MAP_0F3A = 3,
    MHV_MAP_3DNOW = 4, // 0F 0F: the opcode is the byte behind the operands
};

// What CS says that code is: of 16 bits in real mode and without CS.D, of 64 with CS.L.
enum mhv_code_size { MHV_CODE_16, MHV_CODE_32, MHV_CODE_64, MHV_CODE_SIZES };

// One instruction, split into its parts.
struct mhv_instruction {
    uint8_t length;        // 1..15; 0: the bytes end before the instruction does
    uint8_t prefix_count;  // legacy prefixes, and REX where it counts
    bool lock;             // F0
    bool repeat;           // F3
    bool repeat_not_equal; // F2
    bool operand_size;     // 66
    bool address_size;     // 67
    uint8_t segment;       // the last segment prefix byte, 0: none
    uint8_t rex;           // the REX byte in force, 0: none
    uint8_t map;           // enum mhv_opcode_map
    uint8_t opcode;
    bool has_modrm;
    uint8_t modrm;
    bool has_sib;
    uint8_t sib;
    bool vex;     // VEX or EVEX; `repeat` ... `rex` then say nothing
    bool invalid; // no such opcode, or longer than 15 bytes (`length` is 15)
    uint8_t immediate_bytes;
    uint8_t displacement_bytes;
    uint64_t immediate; // zero-extended; ENTER's and a far pointer's second part is above the first
    int64_t displacement; // sign-extended
};

// `*ret` is the instruction at `bytes`, of which `byte_count` may be read. Total: any bytes, any
// count.
void mhv_decode(const uint8_t *bytes, uint32_t byte_count, enum mhv_code_size code,
                struct mhv_instruction *ret);

// The size of the addresses that `instruction` computes.
enum mhv_code_size mhv_address_size(enum mhv_code_size code,
                                    const struct mhv_instruction *instruction);

#endif
