// Single instructions as C functions.
#ifndef GUESTS_CPU_H
#define GUESTS_CPU_H
#include <stdint.h>

enum port {
    PORT_CONSOLE = 0xE9,  // OUT: one character of the console
    PORT_SHUTDOWN = 0xF4, // OUT: the partition stops, with this status
};

enum control_bit {
    CR0_TS = 1 << 3,
    CR0_WP = 1 << 16,
    CR4_TSD = 1 << 2,
    CR4_LA57 = 1 << 12,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
    EFER_SCE = 1 << 0,
    RFLAGS_FIXED = 1 << 1,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_DF = 1 << 10,
    RFLAGS_IOPL3 = 3 << 12,
};

enum msr {
    MSR_APIC_BASE = 0x1B,
    MSR_EFER = (int)0xC0000080,
    MSR_STAR = (int)0xC0000081,
    MSR_LSTAR = (int)0xC0000082,
    MSR_SFMASK = (int)0xC0000084,
    MSR_GS_BASE = (int)0xC0000101,
};

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid ret;
    __asm__ volatile("cpuid"
                     : "=a"(ret.eax), "=b"(ret.ebx), "=c"(ret.ecx), "=d"(ret.edx)
                     : "a"(leaf), "c"(subleaf));
    return ret;
}

static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("in al, dx" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("out dx, al" : : "d"(port), "a"(value) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("in ax, dx" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("out dx, ax" : : "d"(port), "a"(value) : "memory");
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("in eax, dx" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("out dx, eax" : : "d"(port), "a"(value) : "memory");
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %0, cr0" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr0(uint64_t value)
{
    __asm__ volatile("mov cr0, %0" : : "r"(value) : "memory");
}

static inline uint64_t read_cr2(void)
{
    uint64_t value;
    __asm__ volatile("mov %0, cr2" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr2(uint64_t value)
{
    __asm__ volatile("mov cr2, %0" : : "r"(value) : "memory");
}

static inline uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %0, cr3" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr3(uint64_t value)
{
    __asm__ volatile("mov cr3, %0" : : "r"(value) : "memory");
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %0, cr4" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov cr4, %0" : : "r"(value) : "memory");
}

static inline uint64_t read_dr6(void)
{
    uint64_t value;
    __asm__ volatile("mov %0, dr6" : "=r"(value) : : "memory");
    return value;
}

static inline void write_dr6(uint64_t value)
{
    __asm__ volatile("mov dr6, %0" : : "r"(value) : "memory");
}

static inline uint64_t read_rflags(void)
{
    uint64_t value;
    __asm__ volatile("pushfq; pop %0" : "=r"(value) : : "memory");
    return value;
}

static inline uint16_t read_cs(void)
{
    uint16_t value;
    __asm__ volatile("mov %0, cs" : "=r"(value));
    return value;
}

static inline uint16_t read_tr(void)
{
    uint16_t value;
    __asm__ volatile("str %0" : "=r"(value));
    return value;
}

static inline void invlpg(uint64_t gva)
{
    __asm__ volatile("invlpg [%0]" : : "r"(gva) : "memory");
}

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

// This VP waits until an interrupt has been handled. Interrupts are off before and after, so what
// is tested before the call cannot change between the test and the HLT: STI lets one more
// instruction begin.
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

// What is pending is handled now, and the VP goes on at once.
static inline void let_interrupts_in(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

// This VP stops for good: interrupts are off and nothing else wakes it.
static inline _Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

// The partition stops; `status` is 0 when all went as the program expects.
static inline _Noreturn void shutdown(uint8_t status)
{
    outb(PORT_SHUTDOWN, status);
    halt();
}

#endif
