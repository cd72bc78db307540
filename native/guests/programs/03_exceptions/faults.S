// One instruction each that raises an exception; it lies at the label. RDI is the argument.
    .intel_syntax noprefix
    .macro fault name
    .balign 16, 0x90
    .global \name
    .type \name, @function
\name:
    .endm

    .text
fault fault_divide                  // RDI = 0
    div rdi
    ret
fault fault_breakpoint
    int3
    ret
fault fault_int4
    int 4
    ret
fault fault_into
    .byte 0xCE                      // INTO, which 64-bit mode does not have
    ret
fault fault_undefined
    ud2
fault fault_x87
    fld1
    ret
fault fault_load_ds
    mov ds, edi
    ret
fault fault_load_ss
    mov ss, edi
    ret
fault fault_read
    mov rax, [rdi]
    ret
fault fault_write
    mov [rdi], rax
    ret
fault fault_jump                    // a fetch at RDI fails there, not here
    jmp rdi
fault fault_int_short_tss
    int 0x90
    ret
fault fault_int_absent
    int 0x91
    ret
fault fault_int_beyond
    int 0x92
    ret
    .section .note.GNU-stack, "", @progbits
