// Where SYSCALL leads: RCX = RIP to return to, R11 = RFLAGS, and still the stack of ring 3.
    .intel_syntax noprefix
    .text
    .global syscall_entry
syscall_entry:
    mov [rip + user_rsp], rsp
    lea rsp, [rip + syscall_stack_top]
    push rcx
    push r11
    mov rsi, rcx
    mov rdx, r11
    call on_syscall             // RDI is still the argument of ring 3
    pop r11
    pop rcx
    mov rsp, [rip + user_rsp]
    sysretq

    .bss
    .balign 16
    .skip 4096
syscall_stack_top:
    .global user_rsp
user_rsp:
    .skip 8
    .section .note.GNU-stack, "", @progbits
