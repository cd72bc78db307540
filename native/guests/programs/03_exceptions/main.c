// Raises every exception that a program can, and handles each: vector, error code, RIP, CR2.

#include "faults.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/page_table.h"
#include "lib/traps.h"

enum {
    SELECTOR_ABSENT_DATA = SELECTOR_FREE,
    SELECTOR_BEYOND_GDT = 0x1F8,
    DR6_BS = 1 << 14,
    ARITHMETIC_FLAGS = 0x8D5, // OF SF ZF AF PF CF
    ZF_AND_PF = 0x44,
};

static const uint64_t ABSENT_DATA_SEGMENT = 0x00CF13000000FFFF; // ring 0, not present
static const uint64_t NOT_CANONICAL = 0x0000800000000000;
static const uint64_t WINDOW = 0x4000000000; // GVAs that nobody maps but we

static struct vp_area area;

static struct trap expect(const char *name, fault *body, uint64_t argument,
                          struct expected_trap expected)
{
    const struct trap trap = attempt(body, argument);

    expect_trap(name, &trap, expected);
    return trap;
}

// The exception that the first instruction of `body` raises, with RIP `passed` bytes behind it.
static void expect_at(const char *name, fault *body, uint64_t argument, uint8_t vector,
                      uint64_t error_code, uint64_t passed)
{
    expect(name, body, argument,
           (struct expected_trap){vector, error_code, (uint64_t)body + passed});
}

static void instructions(void)
{
    expect_at("division by zero", fault_divide, 0, VECTOR_DE, 0, 0);
    expect_at("INT3", fault_breakpoint, 0, VECTOR_BP, 0, 1);
    expect_at("INT 4", fault_int4, 0, VECTOR_OF, 0, 2);
    expect_at("INTO, which 64-bit mode lacks", fault_into, 0, VECTOR_UD, 0, 0);
    expect_at("UD2", fault_undefined, 0, VECTOR_UD, 0, 0);
    write_cr0(read_cr0() | CR0_TS);
    expect_at("x87 while CR0.TS is set", fault_x87, 0, VECTOR_NM, 0, 0);
    write_cr0(read_cr0() & ~(uint64_t)CR0_TS);
    expect("x87 division by zero", x87_divide, 0,
           (struct expected_trap){VECTOR_MF, 0, (uint64_t)x87_divide_at});
    x87_forget(0);
}

static void debug_exceptions(void)
{
    write_dr6(0);
    expect("single step", single_step, 0,
           (struct expected_trap){VECTOR_DB, 0, (uint64_t)single_step_at});
    expect_true("DR6.BS is set", read_dr6() & DR6_BS);
}

static void segments(void)
{
    area.gdt[SELECTOR_ABSENT_DATA / 8] = ABSENT_DATA_SEGMENT;
    expect_at("DS := segment not present", fault_load_ds, SELECTOR_ABSENT_DATA, VECTOR_NP,
              SELECTOR_ABSENT_DATA, 0);
    expect_at("SS := segment not present", fault_load_ss, SELECTOR_ABSENT_DATA, VECTOR_SS,
              SELECTOR_ABSENT_DATA, 0);
    expect_at("DS := selector beyond the GDT", fault_load_ds, SELECTOR_BEYOND_GDT, VECTOR_GP,
              SELECTOR_BEYOND_GDT, 0);
    expect_at("read of a non-canonical address", fault_read, NOT_CANONICAL, VECTOR_GP, 0, 0);
    expect_at("write of a non-canonical address", fault_write, NOT_CANONICAL, VECTOR_GP, 0, 0);
}

static void gates(void)
{
    set_gate(VECTOR_SHORT_TSS, 0, 7, true);
    set_task_limit(&area, 0x40); // IST 7 lies at 0x54
    expect_at("IST beyond the TSS", fault_int_short_tss, 0, VECTOR_TS, SELECTOR_TSS, 0);
    set_task_limit(&area, sizeof(area.task_state) - 1);
    set_gate(VECTOR_ABSENT, 0, 0, false);
    expect_at("gate not present", fault_int_absent, 0, VECTOR_NP, VECTOR_ABSENT * 8 + ERROR_IN_IDT,
              0);
    set_idt_last(VECTOR_BEYOND - 1);
    expect_at("gate beyond the IDT", fault_int_beyond, 0, VECTOR_GP,
              VECTOR_BEYOND * 8 + ERROR_IN_IDT, 0);
    set_idt_last(255);
}

// A page fault at the first instruction of `body`, with CR2 = `cr2`.
static void expect_page_fault(const char *name, fault *body, uint64_t gva, uint64_t error_code,
                              uint64_t cr2)
{
    const uint64_t rip = body == fault_jump ? gva : (uint64_t)body;
    const struct trap trap =
        expect(name, body, gva, (struct expected_trap){VECTOR_PF, error_code, rip});

    if (trap.cr2 != cr2)
        expect_equal("CR2", trap.cr2, cr2);
}

static void page_faults(const struct boot_info *info)
{
    struct page_tables tables = {info->root_table, info->paging_levels, info->image_end};
    const uint64_t frame = page_tables_frame(&tables);
    const uint64_t read_only = WINDOW, no_execute = WINDOW + 0x1000, reserved = WINDOW + 0x2000,
                   last = WINDOW + 0x3000, absent = WINDOW + 0x4000;

    map_page(&tables, read_only, frame, PAGE_4K, 0);
    map_page(&tables, no_execute, frame, PAGE_4K, PAGE_WRITABLE | PAGE_NO_EXECUTE);
    map_page(&tables, reserved, frame, PAGE_4K, PAGE_WRITABLE | PAGE_RESERVED);
    map_page(&tables, last, frame, PAGE_4K, PAGE_WRITABLE);

    expect_page_fault("read, not present", fault_read, absent + 8, 0, absent + 8);
    expect_page_fault("write, not present", fault_write, absent + 8, FAULT_WRITE, absent + 8);
    expect_page_fault("fetch, not present", fault_jump, absent, FAULT_FETCH, absent);
    expect_page_fault("write, read-only", fault_write, read_only, FAULT_PRESENT | FAULT_WRITE,
                      read_only);
    expect_page_fault("fetch, no execute", fault_jump, no_execute, FAULT_PRESENT | FAULT_FETCH,
                      no_execute);
    expect_page_fault("read, reserved bit", fault_read, reserved, FAULT_PRESENT | FAULT_RESERVED,
                      reserved);
    const struct trap compared =
        expect("write after a comparison", compare_and_write, absent,
               (struct expected_trap){VECTOR_PF, FAULT_WRITE, (uint64_t)compare_and_write_at});
    expect_equal("arithmetic flags at the fault", compared.frame.rflags & ARITHMETIC_FLAGS,
                 ZF_AND_PF);
    *(volatile uint32_t *)(last + 4092) = 0x12345678;
    expect_page_fault("write across a page's end", fault_write, last + 4092, FAULT_WRITE, absent);
    expect_equal("what it left before the end", *(volatile uint32_t *)(last + 4092), 0x12345678);
}

static void double_fault(void)
{
    const uint64_t stack = (uint64_t)area.ist_stacks[0];

    set_gate(VECTOR_DF, 0, 1, true);
    set_gate(VECTOR_PF, 0, 0, false);
    const struct trap trap = expect("page fault without a gate", fault_read, WINDOW + 0x5000,
                                    (struct expected_trap){.vector = VECTOR_DF});
    set_gate(VECTOR_PF, 0, 0, true);
    expect_equal("its CR2", trap.cr2, WINDOW + 0x5000);
    expect_true("it was handled on the stack of IST 1",
                trap.frame_gva >= stack && trap.frame_gva < stack + STACK_BYTES);
}

void guest_main(const struct boot_info *info)
{
    descriptors_install(&area);
    instructions();
    debug_exceptions();
    segments();
    gates();
    page_faults(info);
    double_fault();
}
