// The two interrupt controllers of a PC: sixteen lines, of which those from 8 on come by line 2.
//
// Spec: Intel, "8259A Programmable Interrupt Controller", "Programming the 8259A".
#ifndef GUESTS_PIC_H
#define GUESTS_PIC_H
#include <stdbool.h>
#include <stdint.h>

enum { PIC_LINES = 16 };

// Line n has vector `first_vector` + n, which is a multiple of 8 from 32 on; all lines are masked.
// False: there are no such controllers.
bool pic_begin(uint8_t first_vector);

// The line is let through, or not.
void pic_unmask(uint32_t line);
void pic_mask(uint32_t line);

// The interrupt of the line has ended.
void pic_eoi(uint32_t line);

#endif
