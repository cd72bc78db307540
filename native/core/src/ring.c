// The ring of VMBus: what both ends do. Twin of minihv/vmbus/ring.py; read that first.
//
// Spec: Linux, "include/linux/hyperv.h"; the layouts are those of minihv/spec/vmbus_ring.py.
// Simplified: as the Python twin. The two are held equal by tests/twins/test_ring.py.
//
// Freestanding, as all of ring*.c: guests are linked with the same files.

#include "ring_parts.h"

_Static_assert(sizeof(struct mhv_ring_control) == 0x1000, "");
_Static_assert(offsetof(struct mhv_ring_control, write_index) == 0x000, "");
_Static_assert(offsetof(struct mhv_ring_control, read_index) == 0x004, "");
_Static_assert(offsetof(struct mhv_ring_control, interrupt_mask) == 0x008, "");
_Static_assert(offsetof(struct mhv_ring_control, pending_send_size) == 0x00C, "");
_Static_assert(offsetof(struct mhv_ring_control, features) == 0x040, "");
_Static_assert(offsetof(struct mhv_ring_control, guest_to_host_interrupts) == 0xFF8, "");
_Static_assert(sizeof(struct mhv_packet_descriptor) == 0x10, "");
_Static_assert(sizeof(struct mhv_transfer_pages_header) == 0x18, "");
_Static_assert(offsetof(struct mhv_transfer_pages_header, range_count) == 0x14, "");
_Static_assert(sizeof(struct mhv_gpa_direct_header) == 0x18, "");
_Static_assert(offsetof(struct mhv_gpa_direct_header, range_count) == 0x14, "");
_Static_assert(sizeof(struct mhv_packet_trailer) == 0x08, "");

enum { LEAST_BYTES = 64, MOST_BYTES = 1 << 30 };

void mhv_ring_clear(struct mhv_ring_control *control)
{
    store_relaxed(&control->write_index, 0);
    store_relaxed(&control->read_index, 0);
    store_relaxed(&control->interrupt_mask, 0);
    store_relaxed(&control->pending_send_size, 0);
    store_relaxed(&control->features, 1u << MHV_RING_FEATURES_PENDING_SEND_SIZE);
}

enum mhv_status mhv_ring_attach(struct mhv_ring *ring, struct mhv_ring_control *control,
                                uint8_t *data, uint8_t *const *pages, uint32_t byte_count)
{
    if (byte_count % (data != NULL ? UNIT : RING_PAGE_BYTES) != 0)
        return MHV_MISALIGNED;
    if (byte_count < LEAST_BYTES || byte_count > MOST_BYTES)
        return MHV_OUT_OF_REACH;
    *ring = (struct mhv_ring){
        .control = control, .data = data, .pages = pages, .byte_count = byte_count};
    return MHV_OK;
}

void mhv_ring_resume(struct mhv_ring *ring, uint32_t position, uint32_t peer)
{
    ring->position = ring->published = position;
    ring->undecided = 0;
    ring->peer = peer;
}

uint32_t mhv_ring_used(const struct mhv_ring *ring)
{
    const uint32_t in = load_relaxed(&ring->control->write_index);
    const uint32_t out = load_relaxed(&ring->control->read_index);

    if (index_fault(ring, in) != MHV_RING_REASON_NONE ||
        index_fault(ring, out) != MHV_RING_REASON_NONE)
        return 0;
    return distance(ring, out, in);
}
