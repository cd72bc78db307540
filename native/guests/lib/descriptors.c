// Builds the tables of descriptors.h and loads their registers.

#include "lib/descriptors.h"
#include "lib/memory.h"

enum {
    GATE_BYTES = 16,
    STUB_BYTES = 16,
    TASK_AVAILABLE = 0x89, // present, DPL 0, 64-bit TSS
    INTERRUPT_GATE = 0x0E,
    GATE_PRESENT = 0x80,
};

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t attributes; // bit 7 present, bits 6:5 DPL, bits 3:0 type
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

_Static_assert(sizeof(struct gate) == GATE_BYTES, "a gate of 64-bit mode has 16 bytes");
_Static_assert(sizeof(struct task_state) == 0x68, "the TSS of 64-bit mode has 104 bytes");

static const uint64_t FLAT_SEGMENTS[6] = {
    0,
    0x00AF9B000000FFFF, // code, ring 0, 64-bit
    0x00CF93000000FFFF, // data, ring 0
    0x00CFFB000000FFFF, // code, ring 3, 32-bit: where SYSRET counts from
    0x00CFF3000000FFFF, // data, ring 3
    0x00AFFB000000FFFF, // code, ring 3, 64-bit
};

static _Alignas(16) struct gate idt[256];

extern const uint8_t trap_stubs[256][STUB_BYTES]; // trap_stubs.S

void set_gate(uint8_t vector, uint8_t dpl, uint8_t ist, bool present)
{
    const uint64_t offset = (uint64_t)trap_stubs[vector];

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)offset,
        .selector = SELECTOR_CODE0,
        .ist = ist,
        .attributes = (uint8_t)(INTERRUPT_GATE | dpl << 5 | (present ? GATE_PRESENT : 0)),
        .offset_middle = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

void set_idt_last(uint8_t last_vector)
{
    const struct table_register idtr = {(uint16_t)((last_vector + 1) * GATE_BYTES - 1),
                                        (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void set_task_limit(struct vp_area *area, uint16_t limit)
{
    const uint64_t base = (uint64_t)&area->task_state;

    area->gdt[SELECTOR_TSS / 8] = limit | (base & 0xFFFFFF) << 16 | (uint64_t)TASK_AVAILABLE << 40 |
                                  (base >> 24 & 0xFF) << 56;
    area->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

static void load_gdt(const struct vp_area *area)
{
    const struct table_register gdtr = {sizeof(area->gdt) - 1, (uint64_t)area->gdt};

    // Data segments by MOV, CS by a far return to the next instruction.
    __asm__ volatile("lgdt %0\n"
                     "mov ds, %1\n"
                     "mov es, %1\n"
                     "mov ss, %1\n"
                     "push %2\n"
                     "lea rax, [rip + 1f]\n"
                     "push rax\n"
                     ".byte 0x48, 0xCB\n" // RETF of 64 bits, which assemblers spell differently
                     "1:"
                     :
                     : "m"(gdtr), "r"(SELECTOR_DATA0), "i"(SELECTOR_CODE0)
                     : "rax", "memory");
}

void descriptors_install(struct vp_area *area)
{
    const uint64_t map_base = (uint64_t)area->io_map - (uint64_t)&area->task_state;

    memcpy(area->gdt, FLAT_SEGMENTS, sizeof(FLAT_SEGMENTS));
    memset(area->io_map, 0xFF, sizeof(area->io_map));
    area->task_state.rsp[0] = (uint64_t)area->ring0_stack + STACK_BYTES;
    area->task_state.ist[0] = (uint64_t)area->ist_stacks[0] + STACK_BYTES;
    area->task_state.ist[1] = (uint64_t)area->ist_stacks[1] + STACK_BYTES;
    area->task_state.io_map_base = (uint16_t)map_base;
    load_gdt(area);
    set_task_limit(area, (uint16_t)(map_base + sizeof(area->io_map) - 1));
    for (uint32_t vector = 0; vector < 256; vector++)
        set_gate((uint8_t)vector, 0, 0, true);
    set_idt_last(255);
}
