// What a VP executes that was started by a start-up interrupt: from real mode through protected mode to long mode.
//
// VP 0 copies it to the first page of a segment (CS:0) and fills in the last words. Nothing in it is linked: it finds
// itself by CS, and what needs an address is added to `trampoline_base`.
//
// Spec: AMD APM vol. 2, "Long-Mode Initialization Example".
    .intel_syntax noprefix
    .section .rodata
    .balign 16
    .global trampoline_begin, trampoline_end, trampoline_words
    .set STACK_TOP, 0x1000          // of the same page
    .set VECTOR_UD, 6
    .set VECTOR_REAL, 0x40
    .set VECTOR_PROTECTED, 0x41
    .set GATE_COUNT, 0x42
trampoline_begin:
#include "programs/23_startup/real_mode.inc"
#include "programs/23_startup/protected_mode.inc"
    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF        // 0x08: 32-bit code
    .quad 0x00CF93000000FFFF        // 0x10: data
    .quad 0x00AF9B000000FFFF        // 0x18: 64-bit code
gdt_end:

// What VP 0 fills in, or reads: struct trampoline_words.
    .balign 8
trampoline_words:
entry:           .quad 0
stack_top:       .quad 0
root_table:      .long 0
wanted_cr4:      .long 0
trampoline_base: .long 0
seen_edx:        .long 0
seen_cr0:        .long 0
protected_count: .long 0
seen_cs:         .word 0
real_count:      .word 0
bytes_written:   .byte 0, 0, 0, 0, 0, 0, 0, 0
to_protected:    .long protected - trampoline_begin
                 .word 0x08
to_long:         .long long_mode - trampoline_begin
                 .word 0x18
gdt_pointer:     .word gdt_end - gdt - 1
                 .long gdt - trampoline_begin
idt_pointer:     .word GATE_COUNT * 8 - 1
                 .long idt - trampoline_begin
                 .word protected_handler - trampoline_begin
                 .word protected_ud_handler - trampoline_begin
    .balign 8
idt:
    .fill GATE_COUNT, 8, 0
trampoline_end:
    .section .note.GNU-stack, "", @progbits
