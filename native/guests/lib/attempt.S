// void attempt_call(void (*body)(uint64_t), uint64_t argument): calls body(argument).
//
// A trap in the body returns to attempt_unwound with RSP = attempt_rsp (traps.c writes both into the frame),
// so whatever the body did to its stack and registers is forgotten.
    .intel_syntax noprefix
    .section .bss.attempt_rsp, "aw", @nobits
    .global attempt_rsp
    .balign 8
attempt_rsp:
    .skip 8

    .section .text.attempt_call, "ax", @progbits
    .global attempt_call, attempt_unwound
    .type attempt_call, @function
attempt_call:
    pushfq
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rip + attempt_rsp], rsp
    mov rax, rdi
    mov rdi, rsi
    call rax
attempt_unwound:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    popfq
    ret
    .size attempt_call, . - attempt_call
    .section .note.GNU-stack, "", @progbits
