// Sets up the pages and SINTs of a VP, reads its slots and flags, posts and signals.

#include "lib/synic.h"
#include "lib/cpu.h"
#include "lib/memory.h"
#include <stdatomic.h>
#include <stddef.h>

enum { SYNIC_ENABLE = 1 << 0 }; // of SCONTROL, SIMP and SIEFP

_Static_assert(sizeof(struct synic_message) == 256, "a slot has 256 bytes");
_Static_assert(offsetof(struct synic_message, payload_bytes) == 4, "as the hypervisor writes it");
_Static_assert(offsetof(struct synic_message, origin) == 8, "as the hypervisor writes it");
_Static_assert(offsetof(struct synic_message, payload) == 16, "as the hypervisor writes it");
_Static_assert(offsetof(struct synic, flags) == 4096, "SIEFP follows SIMP");
_Static_assert(offsetof(struct synic, self) == 8192, "synic_here reads it there");

// Spec: TLFS, "HvCallPostMessage".
struct post_message_input {
    uint32_t connection;
    uint32_t reserved;
    uint32_t type;
    uint32_t payload_bytes;
    uint8_t payload[MESSAGE_PAYLOAD_BYTES];
};

void synic_enable(struct synic *synic)
{
    memset(synic, 0, sizeof(*synic));
    synic->self = synic;
    wrmsr(MSR_GS_BASE, (uint64_t)synic);
    wrmsr(MSR_SIMP, (uint64_t)synic->messages | SYNIC_ENABLE);
    wrmsr(MSR_SIEFP, (uint64_t)synic->flags | SYNIC_ENABLE);
    wrmsr(MSR_SCONTROL, SYNIC_ENABLE);
}

void synic_disable(void)
{
    wrmsr(MSR_SCONTROL, 0);
    wrmsr(MSR_SIEFP, 0);
    wrmsr(MSR_SIMP, 0);
}

struct synic *synic_here(void)
{
    struct synic *synic;
    __asm__ volatile("mov %0, gs:[8192]" : "=r"(synic));
    return synic;
}

void sint_set(uint32_t sint, uint8_t vector, uint32_t bits)
{
    wrmsr(MSR_SINT0 + sint, vector | bits);
}

// The hypervisor writes the type last, so what follows it is whole; and it sets the pending flag of
// a full slot at any time, so the flag is read after the slot is given back.
bool synic_read_message(uint32_t sint, struct synic_message *ret)
{
    struct synic_message *slot = &synic_here()->messages[sint];
    _Atomic uint32_t *type = (_Atomic uint32_t *)&slot->type;
    const volatile uint8_t *flags = &slot->flags;

    if (atomic_load_explicit(type, memory_order_acquire) == MESSAGE_NONE)
        return false;
    memcpy(ret, slot, sizeof(*ret));
    atomic_exchange_explicit(type, MESSAGE_NONE, memory_order_seq_cst);
    if (*flags & MESSAGE_PENDING)
        wrmsr(MSR_EOM, 0);
    return true;
}

void synic_take_flags(uint32_t sint, synic_flag_handler *each)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)synic_here()->flags[sint];

    for (uint32_t word = 0; word < SINT_FLAG_COUNT / 64; word++) {
        if (atomic_load_explicit(&words[word], memory_order_relaxed) == 0)
            continue;
        uint64_t taken = atomic_exchange_explicit(&words[word], 0, memory_order_seq_cst);
        for (; taken != 0; taken &= taken - 1)
            each(word * 64 + (uint32_t)__builtin_ctzll(taken));
    }
}

enum hypercall_status post_message(uint32_t connection, uint32_t type, const void *payload,
                                   uint32_t payload_bytes)
{
    static _Alignas(256) struct post_message_input input; // of 256 bytes, so within one page

    input.connection = connection;
    input.type = type;
    input.payload_bytes = payload_bytes;
    if (payload_bytes <= MESSAGE_PAYLOAD_BYTES)
        memcpy(input.payload, payload, payload_bytes);
    return hypercall_status(HV_POST_MESSAGE, (uint64_t)&input, 0);
}

enum hypercall_status signal_event(uint32_t connection, uint16_t flag)
{
    return hypercall_status(HV_SIGNAL_EVENT | HYPERCALL_FAST, connection | (uint64_t)flag << 32, 0);
}
