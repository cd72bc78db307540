// What the decoder and the guard know alike about opcodes.
#ifndef MINIHV_FORMS_H
#define MINIHV_FORMS_H

// What follows an opcode, one letter each:
//   .  nothing                m  ModRM                    -  no such opcode
//   b  imm8                   B  ModRM, imm8
//   w  imm16                  z  imm16/32                 Z  ModRM, imm16/32
//   v  imm16/32/64            o  offset, address-sized    e  imm16, imm8
//   f  imm16/32, imm16        g  ModRM, and imm8 for TEST G  ModRM, and imm16/32 for TEST
extern const char mhv_one_byte_forms[257];
extern const char mhv_two_byte_forms[257]; // behind 0F

#endif
