#ifndef MINIHV_VMCB_H
#define MINIHV_VMCB_H
#include <stddef.h>
#include <stdint.h>

// The virtual machine control block of AMD-V, 4096 bytes, two areas.
// Spec: AMD APM vol. 2, "VMCB Layout". Twin: minihv/spec/vmcb.py, held equal by tests/layouts.

struct mhv_vmcb_segment {
    uint16_t selector;
    uint16_t attributes; // bits 7:0 = descriptor bits 47:40, bits 11:8 = descriptor bits 55:52
    uint32_t limit;
    uint64_t base;
};

struct mhv_vmcb_control {
    uint16_t intercept_cr_read;       // 0x000
    uint16_t intercept_cr_write;      // 0x002
    uint16_t intercept_dr_read;       // 0x004
    uint16_t intercept_dr_write;      // 0x006
    uint32_t intercept_exceptions;    // 0x008
    uint32_t intercept_instructions1; // 0x00C: INTR ... SHUTDOWN
    uint32_t intercept_instructions2; // 0x010: VMRUN ... XSETBV
    uint32_t intercept_instructions3; // 0x014
    uint8_t reserved_018[36];
    uint16_t pause_filter_threshold; // 0x03C
    uint16_t pause_filter_count;     // 0x03E
    uint64_t iopm_base_pa;           // 0x040
    uint64_t msrpm_base_pa;          // 0x048
    uint64_t tsc_offset;             // 0x050
    uint32_t guest_asid;             // 0x058
    uint8_t tlb_control;             // 0x05C
    uint8_t reserved_05d[3];
    uint64_t
        virtual_interrupt; // 0x060: V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, V_INTR_MASKING, vector
    uint64_t interrupt_shadow;          // 0x068
    uint64_t exit_code;                 // 0x070
    uint64_t exit_info_1;               // 0x078
    uint64_t exit_info_2;               // 0x080
    uint64_t exit_interrupt_info;       // 0x088: EXITINTINFO
    uint64_t nested_control;            // 0x090: bit 0 NP_ENABLE
    uint64_t avic_apic_bar;             // 0x098
    uint64_t ghcb_gpa;                  // 0x0A0
    uint64_t event_injection;           // 0x0A8: EVENTINJ
    uint64_t nested_cr3;                // 0x0B0
    uint64_t virtualization_extensions; // 0x0B8
    uint32_t clean_bits;                // 0x0C0
    uint32_t reserved_0c4;
    uint64_t next_rip;          // 0x0C8
    uint8_t fetched_byte_count; // 0x0D0
    uint8_t fetched_bytes[15];  // 0x0D1
    uint8_t reserved_0e0[800];
};

struct mhv_vmcb_save {
    struct mhv_vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; // 0x400 ... 0x490
    uint8_t reserved_0a0[43];
    uint8_t cpl; // 0x4CB
    uint32_t reserved_0cc;
    uint64_t efer; // 0x4D0
    uint8_t reserved_0d8[112];
    uint64_t cr4;    // 0x548
    uint64_t cr3;    // 0x550
    uint64_t cr0;    // 0x558
    uint64_t dr7;    // 0x560
    uint64_t dr6;    // 0x568
    uint64_t rflags; // 0x570
    uint64_t rip;    // 0x578
    uint8_t reserved_180[88];
    uint64_t rsp; // 0x5D8
    uint8_t reserved_1e0[24];
    uint64_t rax;            // 0x5F8
    uint64_t star;           // 0x600
    uint64_t lstar;          // 0x608
    uint64_t cstar;          // 0x610
    uint64_t sfmask;         // 0x618
    uint64_t kernel_gs_base; // 0x620
    uint64_t sysenter_cs;    // 0x628
    uint64_t sysenter_esp;   // 0x630
    uint64_t sysenter_eip;   // 0x638
    uint64_t cr2;            // 0x640
    uint8_t reserved_248[32];
    uint64_t g_pat;               // 0x668
    uint64_t dbgctl;              // 0x670
    uint64_t br_from;             // 0x678
    uint64_t br_to;               // 0x680
    uint64_t last_exception_from; // 0x688
    uint64_t last_exception_to;   // 0x690
    uint8_t reserved_298[2408];
};

struct mhv_vmcb {
    struct mhv_vmcb_control control; // 0x000
    struct mhv_vmcb_save save;       // 0x400
};

#endif
