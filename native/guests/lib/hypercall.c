// Calls the hypervisor through the page that it laid over one of ours.

#include "lib/hypercall.h"
#include "lib/cpu.h"

static uint64_t hypercall_page;

bool hypercall_page_enable(uint64_t page_gpa)
{
    wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID);
    wrmsr(MSR_HYPERCALL, page_gpa | HYPERCALL_ENABLE);
    hypercall_page = page_gpa;
    return (rdmsr(MSR_HYPERCALL) & HYPERCALL_ENABLE) != 0;
}

bool hypercall_page_is_enabled(void)
{
    return hypercall_page != 0;
}

uint64_t hypercall(uint64_t input, uint64_t rdx, uint64_t r8)
{
    register uint64_t third __asm__("r8") = r8;
    uint64_t result;

    __asm__ volatile("call %[page]"
                     : "=a"(result), "+c"(input), "+d"(rdx), "+r"(third)
                     : [page] "r"(hypercall_page)
                     : "r9", "r10", "r11", "memory", "cc");
    return result;
}

enum hypercall_status hypercall_status(uint64_t input, uint64_t rdx, uint64_t r8)
{
    return (enum hypercall_status)(hypercall(input, rdx, r8) & HV_STATUS_MASK);
}
