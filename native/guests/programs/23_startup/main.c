// VP 0 sends VP 1 back to its beginning and starts it where it likes, as a kernel starts its
// processors.

#include "lib/apic.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"

enum {
    PAGE_GPA = 0x90000, // where the trampoline is put
    OTHER_GPA = 0x91000,
    VECTOR_UD = 6,
    VECTOR_PROTECTED = 0x41,
    CODE_SELECTOR = 8,
    GATE_32_BIT = 0x8E00, // present, ring 0, interrupt gate
    CR4_PAE = 1 << 5,
    CR0_ET = 1 << 4,
};

// The end of trampoline.S.
struct __attribute__((packed)) trampoline_words {
    uint64_t entry, stack_top;
    uint32_t root_table, wanted_cr4, base;
    uint32_t seen_edx, seen_cr0, protected_count;
    uint16_t seen_cs, real_count;
    uint8_t bytes_written[8];
    uint32_t protected_offset;
    uint16_t protected_selector;
    uint32_t long_offset;
    uint16_t long_selector;
    uint16_t gdt_limit;
    uint32_t gdt_base;
    uint16_t idt_limit;
    uint32_t idt_base;
    uint16_t handler_offset, ud_handler_offset;
};

extern const uint8_t trampoline_begin[], trampoline_words[], trampoline_end[];

static uint8_t stack[8192] __attribute__((aligned(16)));
static volatile uint32_t started; // the trampoline that led here; 0: nobody has come
static volatile uint64_t go_on;

// Entered by the trampoline, in long mode.
static _Noreturn void started_vp(uint32_t trampoline_base)
{
    started = trampoline_base;
    while (!go_on)
        pause();
    halt();
}

static void set_gate(uint32_t idt, uint32_t vector, uint32_t handler)
{
    volatile uint32_t *gate = (volatile uint32_t *)(uintptr_t)(idt + 8 * vector);

    gate[0] = (uint32_t)CODE_SELECTOR << 16 | (handler & 0xFFFF);
    gate[1] = (handler & 0xFFFF0000) | GATE_32_BIT;
}

static volatile struct trampoline_words *place_trampoline(const struct boot_info *info, uint32_t at)
{
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)at;
    volatile struct trampoline_words *words =
        (volatile void *)(page + (trampoline_words - trampoline_begin));

    for (uint64_t i = 0; i < (uint64_t)(trampoline_end - trampoline_begin); i++)
        page[i] = trampoline_begin[i];
    words->entry = (uintptr_t)started_vp;
    words->stack_top = (uintptr_t)(stack + sizeof stack - 8);
    words->root_table = (uint32_t)info->root_table;
    words->wanted_cr4 = CR4_PAE | (info->paging_levels == 5 ? CR4_LA57 : 0);
    words->base = at;
    words->protected_offset += at;
    words->long_offset += at;
    words->gdt_base += at;
    words->idt_base += at;
    set_gate(words->idt_base, VECTOR_PROTECTED, at + words->handler_offset);
    set_gate(words->idt_base, VECTOR_UD, at + words->ud_handler_offset);
    return words;
}

static void await_start(void)
{
    while (!started)
        pause();
}

static void tell_of_start(const volatile struct trampoline_words *words)
{
    expect_equal("CS in real mode", words->seen_cs, (uint64_t)words->base >> 4);
    expect_equal("EDX of a VP that begins, as CPUID", words->seen_edx, cpuid(1, 0).eax);
    expect_equal("CR0 of a VP that begins", words->seen_cr0, CR0_ET);
    expect_equal("interrupts of real mode", words->real_count, 2);
    expect_true("REP STOSB wrote by ES:DI", words->bytes_written[0] == 3 &&
                                                words->bytes_written[4] == 5 &&
                                                words->bytes_written[5] == 0);
    expect_equal("interrupts of protected mode", words->protected_count, 2);
    expect_equal("in long mode by way of page", started, words->base);
}

void guest_main(const struct boot_info *info)
{
    const volatile struct trampoline_words *first = place_trampoline(info, PAGE_GPA);
    const volatile struct trampoline_words *second = place_trampoline(info, OTHER_GPA);

    apic_enable();
    if (!expect_true("there is a VP to start", info->vp_count > 1))
        finish();
    print("INIT, and a start-up interrupt:\n");
    apic_send_startup(1, OTHER_GPA); // nobody waits for it
    apic_send_init(1);
    apic_send_startup(1, PAGE_GPA);
    await_start();
    tell_of_start(first);
    print("Once more, in the middle of its work:\n");
    started = 0;
    apic_send_startup(1, OTHER_GPA); // it runs already
    apic_send_init(1);
    apic_send_startup(1, OTHER_GPA);
    await_start();
    tell_of_start(second);
    go_on = 1;
}
