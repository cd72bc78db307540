// void around(const struct registers *before, struct registers *after, void (*instruction)(void))
//
// Calls `instruction` with all registers loaded from `before`, and stores in `after` what it left in them.
    .intel_syntax noprefix
    .macro each operation           // RAX RCX RDX RBX - RBP RSI - R8 ... R15; RSP and RDI are apart
    .set place, 0
    .irp register, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    .ifnc \register, rsp
    .ifnc \register, rdi
    \operation \register, place
    .endif
    .endif
    .set place, place + 8
    .endr
    .endm
    .macro take register, place
    mov \register, [rdi + \place]
    .endm
    .macro keep register, place
    mov [rdi + \place], \register
    .endm

    .text
    .global around
    .type around, @function
around:
    .irp register, rbx, rbp, r12, r13, r14, r15, rsi, rdx
    push \register
    .endr
    fxrstor64 [rdi + 0x90]
    push qword ptr [rdi + 0x80]
    popfq
    each take
    mov rdi, [rdi + 0x38]
    call qword ptr [rsp]            // what was RDX
    pushfq
    push rdi
    mov rdi, [rsp + 24]             // what was RSI
    each keep
    pop qword ptr [rdi + 0x38]
    pop qword ptr [rdi + 0x80]
    cld
    fxsave64 [rdi + 0x90]
    .irp register, rdx, rsi, r15, r14, r13, r12, rbp, rbx
    pop \register
    .endr
    ret
    .size around, . - around
    .section .note.GNU-stack, "", @progbits
