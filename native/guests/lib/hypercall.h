// The hypervisor's interface: discovery leaves, synthetic MSRs, the hypercall page.
//
// Spec: TLFS, "Feature and Interface Discovery", "Hypercall Interface".
#ifndef GUESTS_HYPERCALL_H
#define GUESTS_HYPERCALL_H
#include <stdbool.h>
#include <stdint.h>

enum hypervisor_leaf {
    LEAF_VENDOR = 0x40000000,
    LEAF_INTERFACE = 0x40000001,
    LEAF_VERSION = 0x40000002,
    LEAF_FEATURES = 0x40000003,
    LEAF_RECOMMENDATIONS = 0x40000004,
    LEAF_LIMITS = 0x40000005,
};

enum synthetic_msr {
    MSR_GUEST_OS_ID = 0x40000000,
    MSR_HYPERCALL = 0x40000001,
    MSR_VP_INDEX = 0x40000002,
    MSR_TIME_REF_COUNT = 0x40000020,
    MSR_EOI = 0x40000070,
    MSR_ICR = 0x40000071,
    MSR_TPR = 0x40000072,
    MSR_SCONTROL = 0x40000080,
    MSR_SVERSION = 0x40000081,
    MSR_SIEFP = 0x40000082,
    MSR_SIMP = 0x40000083,
    MSR_EOM = 0x40000084,
    MSR_SINT0 = 0x40000090,
    MSR_STIMER0_CONFIG = 0x400000B0, // and two further for each timer after it
    MSR_STIMER0_COUNT = 0x400000B1,
    MSR_GUEST_IDLE = 0x400000F0,
};

enum hypercall_code {
    HV_NOTIFY_LONG_SPIN_WAIT = 0x0008,
    HV_GET_PARTITION_ID = 0x0046,
    HV_POST_MESSAGE = 0x005C,
    HV_SIGNAL_EVENT = 0x005D,
};

enum hypercall_status {
    HV_SUCCESS = 0,
    HV_INVALID_HYPERCALL_CODE = 2,
    HV_INVALID_HYPERCALL_INPUT = 3,
    HV_INVALID_ALIGNMENT = 4,
    HV_INVALID_PARAMETER = 5,
    HV_ACCESS_DENIED = 6,
    HV_INSUFFICIENT_MEMORY = 0xB,
    HV_INVALID_PORT_ID = 0x11,
    HV_INVALID_CONNECTION_ID = 0x12,
    HV_INSUFFICIENT_BUFFERS = 0x13,
    HV_INVALID_SYNIC_STATE = 0x18,
};

static const uint64_t HYPERCALL_FAST = 1 << 16;  // the parameters are in RDX and R8 themselves
static const uint64_t HYPERCALL_ENABLE = 1 << 0; // of MSR_HYPERCALL
static const uint64_t HV_STATUS_MASK = 0xFFFF;
static const uint64_t GUEST_OS_ID = 0xC000000000000001; // open source, an OS type that nobody has

// The page at `page_gpa` is the hypercall page, if the hypervisor grants one.
bool hypercall_page_enable(uint64_t page_gpa);

// Whether the page was granted before.
bool hypercall_page_is_enabled(void);

// Calls through the page: `input` in RCX, the parameters in RDX and R8; the result is RAX.
uint64_t hypercall(uint64_t input, uint64_t rdx, uint64_t r8);

// The same, and the result is the status alone. `result & HV_STATUS_MASK` says as much.
enum hypercall_status hypercall_status(uint64_t input, uint64_t rdx, uint64_t r8);

#endif
