// Instructions that ring 3 may not execute, one each at its label.
    .intel_syntax noprefix
    .macro user name
    .balign 16, 0x90
    .global \name
\name:
    .endm

    .section .user_text, "ax", @progbits
user user_hlt
    hlt
user user_cli
    cli
user user_mov_cr0
    mov rax, cr0
user user_mov_cr3
    mov cr3, rax
user user_mov_dr7
    mov rax, dr7
user user_clts
    clts
user user_lgdt
    lgdt [rdi]
user user_lidt
    lidt [rdi]
user user_ltr
    ltr di
user user_invlpg
    invlpg [rdi]
user user_wrmsr
    wrmsr
user user_rdmsr
    rdmsr
user user_swapgs
    swapgs
user user_sysret
    sysretq
user user_wbinvd
    wbinvd
user user_vmmcall               // #UD, and only for ring 3
    vmmcall
    .section .note.GNU-stack, "", @progbits
