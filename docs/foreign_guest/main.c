// A guest of your own that talks to its parent: it sends a line to the echo channel, and prints
// what comes back.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/vmbus.h"

enum { DATA_PAGES = 1, ECHO = 1 };

static struct vp_area area;          // GDT, TSS and stacks of this VP
static struct vmbus_channel channel; // the state of the channel
static _Alignas(4096) uint8_t rings[2 * (1 + DATA_PAGES) * 4096];
static _Alignas(8) char buffer[256];

// What the device expects in a packet: an operation, a length, so many bytes.
static const struct {
    uint32_t operation, byte_count;
    char text[24];
} REQUEST = {ECHO, 24, "Is anybody out there?\n"};

static void talk(void)
{
    const struct vmbus_header wants_completion = {VMBUS_KIND_IN_BAND, VMBUS_WANTS_COMPLETION, 4711};
    struct vmbus_packet packet;

    if (vmbus_send(&channel, wants_completion, &REQUEST, sizeof(REQUEST)) != VMBUS_OK ||
        vmbus_wait(&channel) != VMBUS_OK ||
        vmbus_receive(&channel, buffer, sizeof(buffer), &packet) != VMBUS_OK)
        return;
    print("Transaction ");
    print_decimal(packet.header.transaction_id);
    print(": ");
    print((const char *)packet.payload + 8);
}

void guest_main(const struct boot_info *info)
{
    const struct vmbus_rings memory = {rings, DATA_PAGES, DATA_PAGES};

    (void)info;
    descriptors_install(&area); // interrupts need an IDT
    if (vmbus_connect(VMBUS_NEWEST) != VMBUS_OK) {
        print("There is no parent here.\n");
        return;
    }
    if (vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0), memory) == VMBUS_OK) {
        talk();
        vmbus_close(&channel);
    }
    vmbus_disconnect();
}
