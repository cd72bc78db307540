// Into ring 3 and back: a worker's registers lie in a struct trap_frame at the end of its kernel stack.
    .intel_syntax noprefix
    .section .text.user, "ax", @progbits
    .global enter_user, leave_user, syscall_entry, user_frame_end, worker_begin
enter_user:                     // RDI: the frame
    .irp register, rbx, rbp, r12, r13, r14, r15
    push \register
    .endr
    mov [rip + kernel_rsp], rsp
    mov rsp, rdi
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rdx, rcx, rbx, rax
    pop \register
    .endr
    add rsp, 16                 // vector and error code
    iretq

syscall_entry:                  // RCX: RIP, R11: RFLAGS, and still the stack of ring 3; interrupts are off
    mov [rip + user_rsp], rsp
    mov rsp, [rip + user_frame_end]
    push 0x23                   // SS
    push qword ptr [rip + user_rsp]
    push r11
    push 0x2B                   // CS
    push rcx
    push 0                      // no error code
    push 256                    // VECTOR_SYSCALL
    .irp register, rax, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push \register
    .endr
leave_user:
    mov rsp, [rip + kernel_rsp]
    .irp register, r15, r14, r13, r12, rbp, rbx
    pop \register
    .endr
    ret

    .section .bss.user, "aw", @nobits
    .balign 8
kernel_rsp: .skip 8
user_rsp: .skip 8
user_frame_end: .skip 8

    .section .user_text, "ax", @progbits
worker_begin:                   // RBX: GPA of the mailbox, RBP: its bytes
    xor edi, edi                // nothing to answer yet
1:  syscall                     // answers RDI, and waits for a message
    mov rcx, 0x4D48000000000003 // GATE_MAGIC | GATE_INTERCEPT
    mov rdx, rbx
    mov r8, rbp
    vmmcall
    mov rcx, 0x200000000        // GATE_CRASHED
    cmp rax, rcx
    je 2f
    mov rdi, rax
    jmp 1b
2:  mov rax, [rbx]              // the device model went wrong: the mailbox is memory of the kernel
    ud2
    .section .note.GNU-stack, "", @progbits
