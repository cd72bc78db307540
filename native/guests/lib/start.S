// Where every VP of a guest enters: RDI = GPA of the info page, ESI = vp_index, RSP = top of its stack.
// Nothing is to be set up that the boot contract has not set up; the C function never returns.
    .intel_syntax noprefix
    .section .text.start, "ax", @progbits
    .global _start
    .type _start, @function
_start:
    xor ebp, ebp                // the outermost frame, for whoever unwinds the stack
    call start_vp
    ud2
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
