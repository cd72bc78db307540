// What the two ways of delivery share: that of long mode, and those of the modes before it.
// Private to deliver.c and deliver_legacy.c.
#ifndef MINIHV_DELIVER_H
#define MINIHV_DELIVER_H
#include "inside.h"

enum {
    SELECTOR_TI = 4,
    ERROR_EXT = 1,
    ERROR_IDT = 2,
    DESCRIPTOR_CONFORMING = 1 << 10,
    DESCRIPTOR_CODE = 1 << 11,
    DESCRIPTOR_S = 1 << 12,
    DESCRIPTOR_P = 1 << 15,
    DESCRIPTOR_L = 1 << 21,
    DESCRIPTOR_B = 1 << 22,
    DESCRIPTOR_G = 1 << 23,
};

// A fault that the delivery itself met.
struct trouble {
    bool is_trouble;
    bool is_page_fault; // or a second-level violation: `touch` knows
    uint8_t vector;
    uint32_t error_code;
    struct touch touch;
};

static const struct mhv_access SYSTEM_READ = {.kind = MHV_READ, .implicit = true};
static const struct mhv_access SYSTEM_WRITE = {.kind = MHV_WRITE, .implicit = true};
static const struct trouble NO_TROUBLE = {0};

static inline struct trouble fault(uint8_t vector, uint32_t error_code)
{
    return (struct trouble){.is_trouble = true, .vector = vector, .error_code = error_code};
}

static inline struct trouble page_fault(const struct touch *touch)
{
    return (struct trouble){
        .is_trouble = true, .is_page_fault = true, .vector = MHV_VECTOR_PF, .touch = *touch};
}

static inline uint32_t external_bit(const struct delivery *delivery)
{
    return delivery->type == DELIVER_SOFTWARE ? 0 : ERROR_EXT;
}

// What CS will be: its last bits are the ring that the handler runs in, the same where its code
// conforms.
static inline uint32_t handler_selector(const struct mhv_silicon *silicon, uint32_t selector,
                                        const uint32_t raw[2])
{
    const uint32_t dpl = raw[1] >> 13 & 3;

    return (selector & 0xFFFC) | (raw[1] & DESCRIPTOR_CONFORMING ? mhv_cpl(silicon) : dpl);
}

// deliver.c: the eight bytes of a descriptor in the GDT or the LDT.
struct trouble mhv_read_descriptor(struct mhv_processor *processor,
                                   const struct mhv_silicon *silicon, uint32_t selector,
                                   struct trouble beyond_limit, uint32_t raw[2]);
// The same of the code segment of a handler, which must be present, and as privileged as the code
// that is left or more.
struct trouble mhv_read_handler_code(struct mhv_processor *processor,
                                     const struct mhv_silicon *silicon, uint32_t selector,
                                     uint32_t external, uint32_t raw[2]);

// deliver_legacy.c
struct trouble mhv_deliver_real(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                const struct delivery *delivery);
struct trouble mhv_deliver_protected(struct mhv_processor *processor, struct mhv_silicon *silicon,
                                     const struct delivery *delivery);

#endif
