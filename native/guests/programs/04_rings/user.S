// What ring 3 runs. Each ends by the instruction under test, or by INT 0x80 with its result in RAX.
    .intel_syntax noprefix
    .macro user name
    .balign 16, 0x90
    .global \name
\name:
    .endm

    .section .user_text, "ax", @progbits
user user_int                   // RDI comes back in RAX
    lea rax, [rdi + 1]
    int 0x80
user user_int_refused           // the gate's DPL is 0
    int 0x81
user user_syscall               // RAX = what ring 0 answers; RBX = RFLAGS after it
    syscall
    pushfq
    pop rbx
    int 0x80
user user_print                 // and on into user_out
    mov eax, edi
user user_out
    out 0xE9, al
    int 0x80
user user_in
    in al, 0xE9
    int 0x80
user user_read
    mov rax, [rdi]
    int 0x80
user user_cpuid
    mov eax, edi
    cpuid
    int 0x80
user user_stack                 // touches its own stack, calls and returns
    call 1f
    int 0x80
1:  lea rax, [rsp + 8]
    ret
    .section .note.GNU-stack, "", @progbits
