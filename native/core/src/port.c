// Port accesses: who may, who sees them, and how IN, OUT, INS and OUTS end.
//
// Stands for: the I/O instructions of the processor and the IOIO intercept.
// Spec: AMD APM vol. 2, "IOIO Intercepts" and "I/O-Permission Bitmap"; APM vol. 3, "IN", "INS",
// "OUT", "OUTS". Simplified: a repeated string exits once for each element; segment bases of FS and
// GS are honoured,
//             limits are not (64-bit mode has none).

#include "inside.h"

#include <string.h>

enum {
    TSS_IO_MAP_BASE = 0x66,
    INTERCEPT_IOIO = 1 << 27,
    IOIO_IN = 1,
    IOIO_STRING = 4,
    IOIO_REPEATED = 8,
    IOIO_SIZE_SHIFT = 4,
    IOIO_A64 = 1 << 9,
    IOIO_PORT_SHIFT = 16,
};

// Ring n may use a port if n <= IOPL, or if the TSS has a clear bit for each byte of it.
static enum next check_permission(struct mhv_processor *processor, struct mhv_vp *vp,
                                  struct mhv_silicon *silicon, bool *granted)
{
    const struct mhv_access system = {.kind = MHV_READ, .implicit = true};
    const struct mhv_port_access *port = &vp->port_access;
    const uint64_t tss = silicon->tr.base, limit = silicon->tr.limit;
    uint16_t base, bits;
    struct touch touch;

    *granted = mhv_cpl(silicon) <= (mhv_silicon_rflags(silicon) >> 12 & 3);
    if (*granted)
        return NEXT_GO_ON;
    if (limit < TSS_IO_MAP_BASE + 1)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (!mhv_guest_read(processor, silicon, tss + TSS_IO_MAP_BASE, system, &base, 2, &touch))
        return mhv_refuse(processor, vp, silicon, &touch);
    const uint64_t at = base + port->port / 8u;
    if (at + 1 > limit)
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    if (!mhv_guest_read(processor, silicon, tss + at, system, &bits, 2, &touch))
        return mhv_refuse(processor, vp, silicon, &touch);
    if (bits >> port->port % 8 & ((1 << port->byte_count) - 1))
        return mhv_raise(processor, vp, silicon, MHV_VECTOR_GP, true, 0);
    *granted = true;
    return NEXT_GO_ON;
}

static bool is_intercepted(const struct mhv_processor *processor, const struct mhv_vp *vp)
{
    const struct mhv_vmcb_control *control = &vp->vmcb->control;
    const struct mhv_port_access *port = &vp->port_access;
    const uint64_t at = control->iopm_base_pa + port->port / 8u;

    if (!(control->intercept_instructions1 & INTERCEPT_IOIO))
        return false;
    if (at + 2 > processor->ram.byte_count)
        return true;
    const uint32_t bits = processor->ram.bytes[at] | (uint32_t)processor->ram.bytes[at + 1] << 8;
    return bits >> port->port % 8 & ((1u << port->byte_count) - 1);
}

static uint64_t io_info(const struct mhv_port_access *port)
{
    return (uint64_t)port->port << IOIO_PORT_SHIFT | (uint64_t)port->byte_count << IOIO_SIZE_SHIFT |
           IOIO_A64 | (port->is_in ? IOIO_IN : 0u) | (port->is_string ? IOIO_STRING : 0u) |
           (port->is_repeated ? IOIO_REPEATED : 0u);
}

enum next mhv_port(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon)
{
    struct mhv_port_access *port = &vp->port_access;
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    bool granted;

    silicon->gpr[MHV_RCX] = processor->aborted_rcx;
    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    port->is_string = instruction.opcode >= 0x6C && instruction.opcode <= 0x6F;
    port->is_repeated = port->is_string && (instruction.repeat || instruction.repeat_not_equal);
    port->instruction_bytes = instruction.length;
    const enum next next = check_permission(processor, vp, silicon, &granted);
    if (!granted)
        return next;
    if (!is_intercepted(processor, vp))
        return mhv_finish_port(processor, vp, silicon);
    vp->vmcb->control.next_rip = silicon->rip + instruction.length;
    mhv_exit(vp, processor->blocks, MHV_SVM_EXIT_IOIO, io_info(port),
             silicon->rip + instruction.length);
    return NEXT_EXIT;
}

static void set_accumulator(struct mhv_silicon *silicon, const struct mhv_port_access *port)
{
    const uint64_t mask =
        port->byte_count == 4 ? UINT64_MAX : (UINT64_C(1) << 8 * port->byte_count) - 1;
    const uint64_t value = port->value & (port->byte_count == 4 ? UINT32_MAX : mask);

    silicon->gpr[MHV_RAX] = (silicon->gpr[MHV_RAX] & ~mask) | value;
}

// Of an index or of the count the bits in `mask` go on; a write of 32 bits clears those above.
static void advance(uint64_t *index, int64_t step, uint64_t mask)
{
    const uint64_t kept = mask == UINT16_MAX ? *index & ~mask : 0;

    *index = kept | ((*index + (uint64_t)step) & mask);
}

// One element of INS or OUTS: memory for INS, the index register, and the count.
static enum next finish_string(struct mhv_processor *processor, struct mhv_vp *vp,
                               struct mhv_silicon *silicon)
{
    const struct mhv_port_access *port = &vp->port_access;
    const struct mhv_access access = {.kind = MHV_WRITE,
                                      .user = mhv_cpl(silicon) == 3,
                                      .ac = mhv_silicon_rflags(silicon) & RFLAGS_AC};
    const int64_t step = silicon->direction < 0 ? -port->byte_count : port->byte_count;
    struct mhv_instruction instruction;
    uint8_t bytes[INSTRUCTION_BYTES];
    struct touch touch;

    if (!mhv_instruction_at(processor, silicon, &instruction, bytes))
        return NEXT_GO_ON;
    const uint64_t mask = mhv_address_mask(silicon, &instruction);
    const bool long_code = mhv_in_long_code(silicon);
    const uint64_t offset = silicon->gpr[MHV_RDI] & mask;
    const uint64_t address =
        long_code ? offset : (uint32_t)(offset + silicon->segments[MHV_ES].base);
    if (port->is_in && !mhv_guest_write(processor, silicon, address, access, &port->value,
                                        port->byte_count, &touch))
        return mhv_refuse(processor, vp, silicon, &touch);
    advance(&silicon->gpr[port->is_in ? MHV_RDI : MHV_RSI], step, mask);
    if (port->is_repeated)
        advance(&silicon->gpr[MHV_RCX], -1, mask);
    const bool goes_on = port->is_repeated && (silicon->gpr[MHV_RCX] & mask) != 0;
    return mhv_complete(processor, vp, silicon, goes_on ? 0 : port->instruction_bytes);
}

enum next mhv_finish_port(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon)
{
    if (vp->port_access.is_string)
        return finish_string(processor, vp, silicon);
    if (vp->port_access.is_in)
        set_accumulator(silicon, &vp->port_access);
    return mhv_complete(processor, vp, silicon, vp->port_access.instruction_bytes);
}
