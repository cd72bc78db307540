// The code of ring 3, in pages of its own.
#ifndef USER_H
#define USER_H
#include <stdint.h>

typedef const uint8_t user_code[];

extern user_code user_text_begin, user_text_end; // guest.ld
extern user_code user_int, user_int_refused, user_syscall, user_print, user_out, user_in;
extern user_code user_read, user_cpuid, user_stack;
extern user_code user_hlt, user_cli, user_mov_cr0, user_mov_cr3, user_mov_dr7, user_clts, user_lgdt,
    user_lidt, user_ltr, user_invlpg, user_wrmsr, user_rdmsr, user_swapgs, user_sysret, user_wbinvd,
    user_vmmcall;

void syscall_entry(void); // syscall.S
extern uint64_t user_rsp;

#endif
