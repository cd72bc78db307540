// The instructions of faults.S and traps.S.
#ifndef FAULTS_H
#define FAULTS_H
#include <stdint.h>

typedef void fault(uint64_t argument);

fault fault_divide, fault_breakpoint, fault_int4, fault_into, fault_undefined, fault_x87;
fault fault_load_ds, fault_load_ss, fault_read, fault_write, fault_jump;
fault fault_int_short_tss, fault_int_absent, fault_int_beyond;

fault single_step, compare_and_write, x87_divide, x87_forget;
extern const uint8_t single_step_at[], compare_and_write_at[], x87_divide_at[];

// Vectors of the INT instructions in faults.S.
enum { VECTOR_SHORT_TSS = 0x90, VECTOR_ABSENT = 0x91, VECTOR_BEYOND = 0x92 };

#endif
