// Ways out of the straight run of a program: exits to ring -1, traps, and stops nobody sees.
    .intel_syntax noprefix
    .macro way name
    .balign 16, 0x90
    .global \name
    .type \name, @function
\name:
    .endm

    .text
way way_cpuid
    cpuid
    ret
way way_rdtsc
    rdtsc
    ret
way way_rdmsr
    rdmsr
    ret
way way_wrmsr
    wrmsr
    ret
way way_out
    out 0x80, al
    ret
way way_in
    in al, 0x80
    ret
way way_hypercall                   // RBX = the hypercall page
    call rbx
    ret
way way_interrupt                   // the handler returns at once
    int 0x80
    ret
way way_page_fault                  // the handler makes the page at R15 present
    mov rax, [r15]
    ret
way way_store                       // into a page whose code is running
    mov [rip + cell], rax
    ret
way way_load_cr3
    mov rax, cr3
    mov cr3, rax
    ret
way way_loop                        // longer than a turn: other VPs run meanwhile
    loop way_loop
    ret
    .balign 8
cell:
    .quad 0
    .section .note.GNU-stack, "", @progbits
