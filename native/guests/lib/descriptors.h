// Segment descriptors, task state and interrupt gates of one VP.
//
// Spec: Intel SDM vol. 3A, "Segment Descriptors", "64-Bit IDT Gate Descriptors", "64-Bit Task State
// Segment".
#ifndef GUESTS_DESCRIPTORS_H
#define GUESTS_DESCRIPTORS_H
#include <stdbool.h>
#include <stdint.h>

// The order is what SYSCALL and SYSRET ask for; the first six are those that the boot contract
// loads.
enum selector {
    SELECTOR_CODE0 = 0x08,
    SELECTOR_DATA0 = 0x10,
    SELECTOR_SYSRET = 0x1B, // SYSRET adds 8 for SS and 16 for CS
    SELECTOR_DATA3 = 0x23,
    SELECTOR_CODE3 = 0x2B,
    SELECTOR_TSS = 0x30,
    SELECTOR_FREE = 0x40, // the first of two for the program's own use
};

enum {
    STACK_BYTES = 4096,
    IO_MAP_BYTES = 32, // ports 0 to 255
};

struct __attribute__((packed)) task_state {
    uint32_t reserved_00;
    uint64_t rsp[3]; // the stack of a ring, when an interrupt leads there from a lesser one
    uint64_t reserved_1c;
    uint64_t ist[7]; // ist[0] is IST 1
    uint64_t reserved_5c;
    uint16_t reserved_64;
    uint16_t io_map_base; // offset of the I/O permission bitmap
};

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

// All that one VP needs. Of `io_map` a set bit refuses its port to ring 3.
struct vp_area {
    uint64_t gdt[10];
    struct task_state task_state;
    uint8_t io_map[IO_MAP_BYTES + 1]; // the processor may read one byte more; it is all ones
    _Alignas(16) uint8_t ring0_stack[STACK_BYTES];
    _Alignas(16) uint8_t ist_stacks[2][STACK_BYTES];
};

// GDT and TR of `area` and the IDT of all VPs are in use: 256 gates for ring 0, without IST.
void descriptors_install(struct vp_area *area);

// Gate `vector` leads to its stub: INT from rings up to `dpl`, on stack `ist` (0: as the rings
// say).
void set_gate(uint8_t vector, uint8_t dpl, uint8_t ist, bool present);

// The IDT ends behind gate `last_vector`.
void set_idt_last(uint8_t last_vector);

// The TSS ends behind byte `limit`, and TR is loaded again.
void set_task_limit(struct vp_area *area, uint16_t limit);

#endif
