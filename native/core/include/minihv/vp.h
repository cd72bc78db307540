#ifndef MINIHV_VP_H
#define MINIHV_VP_H
#include "minihv/shadow.h"
#include "minihv/vmcb.h"
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// What was counted while one VP ran. Nothing here is estimated.
struct mhv_counters {
    uint64_t blocks;    // translated blocks begun, or not to be fetched: the unit of virtual time
    uint64_t tlb_fills; // misses of the engine's TLB that our walk answered
    uint64_t walk_references; // table entries read by those walks, both stages
    uint64_t interrupts;      // external interrupts delivered through the guest's IDT
    uint64_t world_switches;  // VMRUN instructions executed for this VP
    uint64_t exceptions[32];  // delivered through the guest's IDT, by vector
    uint64_t exits[272];      // by SVM exit code; codes 0x400 and up begin at 256
    uint64_t hypercalls[256]; // by call code; codes from 255 up are counted in the last
    uint64_t shadow_fills; // page faults that ring -1 took because a shadow table lacked an entry
    uint64_t emulated_writes; // and those in which it wrote for the guest
};

// What a trace tells. The meaning of `a`, `b` and `c` is the comment of the kind.
enum mhv_trace_kind {
    MHV_TRACE_EXIT = 1,         // exit code, EXITINFO1, EXITINFO2
    MHV_TRACE_EXCEPTION = 2,    // vector, error code, CR2
    MHV_TRACE_INTERRUPT = 3,    // vector
    MHV_TRACE_WORLD_SWITCH = 4, // CR3
};

struct mhv_trace_event {
    uint64_t time; // blocks of virtual time
    uint64_t rip;
    uint64_t a, b, c;
    uint32_t kind;
    uint32_t vp_index;
};

// Events of one VP since somebody last read them. A run stops early rather than lose one.
struct mhv_trace {
    uint32_t count;
    struct mhv_trace_event events[4096];
};

// One port access that left the guest. `value` is what OUT wrote, or what IN shall read.
struct mhv_port_access {
    uint16_t port;
    uint8_t byte_count; // 1, 2 or 4
    bool is_in;
    bool is_string;
    bool is_repeated;
    uint8_t instruction_bytes;
    uint32_t value;
};

// CPUID as a partition sees it: leaves 0.., 0x40000000.. and 0x80000000.., 64 of each at most.
// A leaf whose bit is set in `indexed` answers ECX = 0 only, and zeros for every other subleaf.
struct mhv_cpuid {
    uint32_t leaf_count[3];
    uint64_t indexed[3];
    uint32_t leaves[192][4]; // EAX EBX ECX EDX
};

// A virtual processor. While it does not run, its state is in the VMCB (RAX, RSP, RIP, RFLAGS, and
// after mhv_vp_save everything else) and in `gpr` (the others; entries RAX and RSP are not used).
struct mhv_vp {
    struct mhv_vmcb *vmcb;
    uint64_t vmcb_spa;
    uint64_t gpr[16];
    uint64_t debug_address[4];          // DR0-DR3
    uint64_t time_base;                 // virtual time = (time_base + blocks) * ticks per block
    uint64_t tsc_aux;                   // what RDTSCP puts into ECX
    const struct mhv_cpuid *cpuid;      // NULL: CPUID exits go to the hypervisor
    uint32_t index;                     // the VP's number in its partition, and its APIC id
    bool hypercalls_enabled;            // the guest has an identity and a hypercall page
    bool reload;                        // the VMCB's state was edited: enter by VMRUN
    bool reports_delivery;              // come back when V_IRQ was delivered: more is pending
    bool watches;                       // somebody waits for RIP to reach `watched_rip`
    uint64_t watched_rip;               // of the next instruction, when the wait is over
    struct mhv_port_access port_access; // valid after an IOIO exit
    struct mhv_trace *trace;            // NULL: nobody reads
    struct mhv_shadow_service *shadow;  // NULL: the processor walks two stages
    struct mhv_counters counters;
    void *context; // the engine's registers of this VP, when it last left
};

#endif
