// The MSRs behind SYSCALL and SYSRET.
//
// Spec: AMD APM vol. 2, "SYSCALL and SYSRET".

#include "lib/rings.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include <stddef.h>

_Static_assert(offsetof(struct ring3_state, rip) == 0, "rings.S reads it there");
_Static_assert(offsetof(struct ring3_state, rsp) == 8, "rings.S reads it there");
_Static_assert(offsetof(struct ring3_state, rflags) == 16, "rings.S reads it there");
_Static_assert(offsetof(struct ring3_state, argument) == 24, "rings.S reads it there");

void syscall_enable(void (*entry)(void), uint64_t flag_mask)
{
    wrmsr(MSR_STAR, (uint64_t)SELECTOR_SYSRET << 48 | (uint64_t)SELECTOR_CODE0 << 32);
    wrmsr(MSR_LSTAR, (uint64_t)entry);
    wrmsr(MSR_SFMASK, flag_mask);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}
