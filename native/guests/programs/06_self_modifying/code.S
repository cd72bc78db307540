// Code that is written while it runs.
    .intel_syntax noprefix
    .section .data.patched, "aw", @progbits
    .balign 4096
    .global answer, answer_value, count_itself, own_counter, patch_ahead, patch_ahead_value

// uint32_t answer(void): the value is in the instruction, 1 byte behind answer_value - 1.
answer:
    .byte 0xB8                      // MOV EAX, imm32
answer_value:
    .long 0
    ret

// uint32_t count_itself(void): adds to a word in the middle of the code that adds.
    .balign 16, 0x90
count_itself:
    inc dword ptr [rip + own_counter]
    mov eax, [rip + own_counter]
    jmp 1f
own_counter:
    .long 0
1:  ret

// uint32_t patch_ahead(uint32_t value): writes the operand of an instruction of the same straight run.
    .balign 16, 0x90
patch_ahead:
    mov [rip + patch_ahead_value], edi
    .byte 0xB8                      // MOV EAX, imm32
patch_ahead_value:
    .long 0
    ret
    .section .note.GNU-stack, "", @progbits
