// One stub of 16 bytes for each of the 256 vectors.
//
// The processor has pushed SS, RSP, RFLAGS, CS, RIP, and for some exceptions an error code. A stub pushes 0
// where it pushed none, then its vector; trap_common adds the registers, which makes a struct trap_frame.
    .intel_syntax noprefix
    .set WITH_ERROR_CODE, 0x60227D00    // bit n: exception n pushes one (8, 10-14, 17, 21, 29, 30)
    .section .text.trap_stubs, "ax", @progbits
    .global trap_stubs, trap_common
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16, 0x90
    .set pushed, 0
    .if vector < 32
    .set pushed, (WITH_ERROR_CODE >> vector) & 1
    .endif
    .if pushed == 0
    push 0
    .endif
    .byte 0x68                          // PUSH imm32, so that no assembler reads an address here
    .long vector
    jmp trap_common
    .set vector, vector + 1
    .endr

    .balign 16, 0x90
trap_common:
    .irp register, rax, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push \register
    .endr
    cld
    mov rdi, rsp
    call dispatch_trap
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax
    pop \register
    .endr
    add rsp, 16                         // vector and error code
    iretq
    .section .note.GNU-stack, "", @progbits
