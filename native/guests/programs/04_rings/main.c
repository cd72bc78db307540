// Goes to ring 3 and back by every door there is, and finds the other doors locked.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/page_table.h"
#include "lib/rings.h"
#include "lib/traps.h"
#include "user.h"

enum { INT_FOR_ALL = 0x80, INT_FOR_RING_0 = 0x81, INT_ON_IST = 0x82 };

static const uint64_t USER_TEXT = 0x4000000000; // ring 3 sees its pages here
static const uint64_t USER_STACK = 0x4000100000;
static const uint64_t NOT_CANONICAL = 0x0000800000000000;

static struct vp_area area;
static _Alignas(4096) uint8_t user_stack_page[4096];
static struct ring3_state state;
static uint64_t syscall_argument, syscall_rip, syscall_rflags, syscall_cs;

void on_syscall(uint64_t argument, uint64_t rip, uint64_t rflags);

static uint64_t user_gva(const uint8_t *code)
{
    return USER_TEXT + (uint64_t)(code - user_text_begin);
}

static void map_user_pages(const struct boot_info *info)
{
    struct page_tables tables = {info->root_table, info->paging_levels, info->image_end};

    for (const uint8_t *page = user_text_begin; page < user_text_end; page += 4096)
        map_page(&tables, user_gva(page), (uint64_t)page, PAGE_4K, PAGE_USER);
    map_page(&tables, USER_STACK, (uint64_t)user_stack_page, PAGE_4K, PAGE_USER | PAGE_WRITABLE);
}

// What ended ring 3 when it ran `code` with `argument` in RDI.
static struct trap run(void (*enter)(uint64_t), const uint8_t *code, uint64_t argument,
                       uint64_t rflags)
{
    state =
        (struct ring3_state){user_gva(code), USER_STACK + 4096, rflags | RFLAGS_FIXED, argument};
    return attempt(enter, (uint64_t)&state);
}

static struct trap run_plain(const uint8_t *code, uint64_t argument)
{
    return run(enter_ring3_by_iretq, code, argument, 0);
}

static bool on_stack(uint64_t gva, const uint8_t *stack)
{
    return gva >= (uint64_t)stack && gva < (uint64_t)stack + STACK_BYTES;
}

static void interrupts(void)
{
    const struct trap back = run_plain(user_int, 41);

    expect_trap("IRETQ to ring 3, INT back", &back, (struct expected_trap){.vector = INT_FOR_ALL});
    expect_equal("RAX of ring 3", back.frame.rax, 42);
    expect_equal("CS of ring 3", back.frame.cs, SELECTOR_CODE3);
    expect_equal("SS of ring 3", back.frame.ss, SELECTOR_DATA3);
    expect_equal("RSP of ring 3", back.frame.rsp, USER_STACK + 4096);
    expect_true("the handler ran on RSP0", on_stack(back.frame_gva, area.ring0_stack));
    const struct trap stack = run_plain(user_stack, 0);
    expect_equal("ring 3 called and returned", stack.frame.rax, USER_STACK + 4096);

    const struct trap refused = run_plain(user_int_refused, 0);
    expect_trap("INT through a gate of DPL 0", &refused,
                (struct expected_trap){VECTOR_GP, INT_FOR_RING_0 * 8 + ERROR_IN_IDT,
                                       user_gva(user_int_refused)});
    set_gate(INT_FOR_ALL, 3, 2, true);
    const struct trap moved = run_plain(user_int, 0);
    expect_true("a gate with IST 2 changes the stack",
                on_stack(moved.frame_gva, area.ist_stacks[1]));
    set_gate(INT_FOR_ALL, 3, 0, true);
}

static void interrupt_on_ist(uint64_t argument)
{
    (void)argument;
    __asm__ volatile("int 0x82" : : : "memory");
}

static void same_ring(void)
{
    const struct trap on_own = attempt(interrupt_on_ist, 0);

    expect_true("ring 0 stays on its stack", on_own.frame.rsp - on_own.frame_gva < 256);
    expect_equal("CS of ring 0", on_own.frame.cs, SELECTOR_CODE0);
    set_gate(INT_ON_IST, 0, 1, true);
    const struct trap on_ist = attempt(interrupt_on_ist, 0);
    expect_true("and with IST 1 leaves it", on_stack(on_ist.frame_gva, area.ist_stacks[0]));
}

void on_syscall(uint64_t argument, uint64_t rip, uint64_t rflags)
{
    syscall_argument = argument;
    syscall_rip = rip;
    syscall_rflags = rflags;
    syscall_cs = read_cs();
    expect_equal("RFLAGS in the handler, masked", read_rflags() & (RFLAGS_DF | RFLAGS_IF), 0);
}

static void system_calls(void)
{
    const struct trap off = run_plain(user_syscall, 0);
    expect_trap("SYSCALL while EFER.SCE is clear", &off,
                (struct expected_trap){.vector = VECTOR_UD, .rip = user_gva(user_syscall)});

    syscall_enable(syscall_entry, RFLAGS_DF | RFLAGS_IF);
    const struct trap back = run(enter_ring3_by_sysret, user_syscall, 7, RFLAGS_DF);
    expect_trap("SYSRET to ring 3, SYSCALL, INT back", &back,
                (struct expected_trap){.vector = INT_FOR_ALL});
    expect_equal("argument of the call", syscall_argument, 7);
    expect_equal("CS in the handler", syscall_cs, SELECTOR_CODE0);
    expect_true("RCX is where to return to", syscall_rip == user_gva(user_syscall) + 2);
    expect_equal("R11: RFLAGS of ring 3", syscall_rflags, RFLAGS_DF | RFLAGS_FIXED);
    expect_equal("RSP is still that of ring 3", user_rsp, USER_STACK + 4096);
    expect_equal("DF after SYSRET", back.frame.rbx & RFLAGS_DF, RFLAGS_DF);
    expect_equal("CS after SYSRET", back.frame.cs, SELECTOR_CODE3);
    expect_equal("SS after SYSRET", back.frame.ss, SELECTOR_DATA3);
}

static void expect_locked(const char *name, const uint8_t *code, uint8_t vector)
{
    const struct trap trap = run_plain(code, USER_STACK);

    expect_trap(name, &trap, (struct expected_trap){vector, 0, user_gva(code)});
}

static void privileged_instructions(void)
{
    expect_locked("HLT in ring 3", user_hlt, VECTOR_GP);
    expect_locked("CLI", user_cli, VECTOR_GP);
    expect_locked("MOV from CR0", user_mov_cr0, VECTOR_GP);
    expect_locked("MOV to CR3", user_mov_cr3, VECTOR_GP);
    expect_locked("MOV from DR7", user_mov_dr7, VECTOR_GP);
    expect_locked("CLTS", user_clts, VECTOR_GP);
    expect_locked("LGDT", user_lgdt, VECTOR_GP);
    expect_locked("LIDT", user_lidt, VECTOR_GP);
    expect_locked("LTR", user_ltr, VECTOR_GP);
    expect_locked("INVLPG", user_invlpg, VECTOR_GP);
    expect_locked("WRMSR", user_wrmsr, VECTOR_GP);
    expect_locked("RDMSR", user_rdmsr, VECTOR_GP);
    expect_locked("SWAPGS", user_swapgs, VECTOR_GP);
    expect_locked("SYSRET", user_sysret, VECTOR_GP);
    expect_locked("WBINVD", user_wbinvd, VECTOR_GP);
    expect_locked("VMMCALL", user_vmmcall, VECTOR_UD);
    const struct trap cpuid_trap = run_plain(user_cpuid, 0x40000001);
    expect_equal("CPUID is for everybody", cpuid_trap.frame.rax, cpuid(0x40000001, 0).eax);
    const struct trap read = run_plain(user_read, (uint64_t)&area);
    expect_trap("read of a page of ring 0", &read,
                (struct expected_trap){VECTOR_PF, FAULT_PRESENT | FAULT_USER, user_gva(user_read)});
    expect_true("CR2 is its address", read.cr2 == (uint64_t)&area);
}

static void ports(void)
{
    expect_locked("OUT with IOPL 0", user_out, VECTOR_GP);
    expect_locked("IN with IOPL 0", user_in, VECTOR_GP);
    const struct trap by_iopl = run(enter_ring3_by_iretq, user_print, '*', RFLAGS_IOPL3);
    print(" printed by ring 3\n");
    expect_trap("OUT with IOPL 3", &by_iopl, (struct expected_trap){.vector = INT_FOR_ALL});
    area.io_map[PORT_CONSOLE / 8] &= (uint8_t)~(1 << PORT_CONSOLE % 8);
    const struct trap by_map = run_plain(user_print, '+');
    print(" printed by ring 3\n");
    expect_trap("OUT that the TSS allows", &by_map, (struct expected_trap){.vector = INT_FOR_ALL});
    area.io_map[PORT_CONSOLE / 8] = 0xFF;
    expect_locked("OUT when the bit is set again", user_out, VECTOR_GP);
}

static void enter_nowhere(uint64_t rip)
{
    state = (struct ring3_state){rip, USER_STACK + 4096, RFLAGS_FIXED, 0};
    enter_ring3_by_iretq((uint64_t)&state);
}

static void bad_returns(void)
{
    const struct trap far = attempt(enter_nowhere, NOT_CANONICAL);
    expect_trap("IRETQ to a non-canonical RIP", &far, (struct expected_trap){.vector = VECTOR_GP});
    const struct trap ours = attempt(enter_nowhere, (uint64_t)&guest_main);
    expect_trap("IRETQ of ring 3 into our code", &ours,
                (struct expected_trap){VECTOR_PF, FAULT_PRESENT | FAULT_USER | FAULT_FETCH,
                                       (uint64_t)&guest_main});
    expect_equal("it was ring 3 that fetched", ours.frame.cs, SELECTOR_CODE3);
}

void guest_main(const struct boot_info *info)
{
    descriptors_install(&area);
    set_gate(INT_FOR_ALL, 3, 0, true);
    map_user_pages(info);
    interrupts();
    same_ring();
    system_calls();
    privileged_instructions();
    ports();
    bad_returns();
}
