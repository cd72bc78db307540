// The note by which an image asks to enter with five levels of page tables.
    .intel_syntax noprefix
    .section .note.minihv, "a", @note
    .balign 4
    .long 7                         // bytes of the owner's name
    .long 4                         // bytes of the content
    .long 1                         // type: paging levels
    .asciz "minihv"
    .balign 4
    .long 5
    .section .note.GNU-stack, "", @progbits
