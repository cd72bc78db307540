// Accesses whose page is the only thing that matters; RDI is the address. Each is position independent.
    .intel_syntax noprefix
    .macro probe name
    .balign 16, 0x90
    .global \name
\name:
    .endm

    .text
probe probe_read
    mov rax, [rdi]
    ret
probe probe_write
    mov qword ptr [rdi], 0x2a
    ret
probe probe_call
    call rdi
    ret
probe probe_read_with_ac        // EFLAGS.AC lets ring 0 pass SMAP
    stac
    mov rax, [rdi]
    clac
    ret

    .section .user_text, "ax", @progbits
probe user_read
    mov rax, [rdi]
    int 0x80
probe user_write
    mov [rdi], rdi
    int 0x80
probe user_return
    ret
    .section .note.GNU-stack, "", @progbits
