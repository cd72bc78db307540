// Exceptions that need more than one instruction; the label with _at is where RIP shall be.
    .intel_syntax noprefix
    .macro label name
    .global \name
\name:
    .endm

    .text
label single_step
    pushfq
    or qword ptr [rsp], 0x100       // TF
    popfq
    nop                             // the first instruction that begins with TF set
label single_step_at
    nop
    ret

label compare_and_write             // ZF and PF are set when the store faults
    cmp rdi, rdi
label compare_and_write_at
    mov [rdi], rax
    ret

label x87_divide
    fninit
    fldcw [rip + zero_divide_unmasked]
    fldz
    fld1
    fdiv st, st(1)                  // 1 / 0 is noted in the status word
label x87_divide_at
    fwait                           // and raised here
    ret

label x87_forget
    fninit
    ret

    .section .rodata
zero_divide_unmasked:
    .short 0x037B
    .section .note.GNU-stack, "", @progbits
