// Ways into ring 3: RDI points to a struct ring3_state (rip, rsp, rflags, argument).
    .intel_syntax noprefix
    .section .text.enter_ring3_by_iretq, "ax", @progbits
    .global enter_ring3_by_iretq
    .type enter_ring3_by_iretq, @function
enter_ring3_by_iretq:
    push 0x23                   // SS
    push qword ptr [rdi + 8]              // RSP
    push qword ptr [rdi + 16]             // RFLAGS
    push 0x2B                   // CS
    push qword ptr [rdi]                  // RIP
    mov rdi, [rdi + 24]
    iretq
    .size enter_ring3_by_iretq, . - enter_ring3_by_iretq

    .section .text.enter_ring3_by_sysret, "ax", @progbits
    .global enter_ring3_by_sysret
    .type enter_ring3_by_sysret, @function
enter_ring3_by_sysret:
    mov rcx, [rdi]              // SYSRET takes RIP from RCX and RFLAGS from R11
    mov r11, [rdi + 16]
    mov rsp, [rdi + 8]
    mov rdi, [rdi + 24]
    sysretq
    .size enter_ring3_by_sysret, . - enter_ring3_by_sysret
    .section .note.GNU-stack, "", @progbits
