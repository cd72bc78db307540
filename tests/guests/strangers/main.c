// A guest that is not in the tree: it uses what the built-in programs do not use of the library.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/echo.h"
#include "lib/expect.h"
#include "lib/vmbus.h"
#include "lib/vmbus_console.h"
#include <stddef.h>

enum { MANY_PAGES = 90, FEW_PAGES = 1 };

static const uint32_t VERSIONS[] = {VMBUS_2_4, VMBUS_3_0, VMBUS_4_0, VMBUS_4_1,
                                    VMBUS_5_0, VMBUS_5_1, VMBUS_5_2, VMBUS_5_3};

static struct vp_area area;
static struct vmbus_channel channel;
static _Alignas(4096) uint8_t memory[(2 + MANY_PAGES + FEW_PAGES) * 4096];
static uint8_t buffer[64];

static enum vmbus_outcome open(uint32_t to_host_pages, uint32_t from_host_pages)
{
    return vmbus_open(&channel, vmbus_find_offer(&INTERFACE_ECHO, 0),
                      (struct vmbus_rings){memory, to_host_pages, from_host_pages});
}

static void speak_every_version(void)
{
    uint32_t spoken = 0;

    for (uint32_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        spoken += vmbus_connect(VERSIONS[i]) == VMBUS_OK && vmbus_version() == VERSIONS[i] &&
                  open(FEW_PAGES, FEW_PAGES) == VMBUS_OK &&
                  echo_round_trip(&channel, i, "version", 8) == VMBUS_OK &&
                  vmbus_close(&channel) == VMBUS_OK && vmbus_disconnect() == VMBUS_OK;
    }
    expect_equal("versions", spoken, 8);
}

// A GPADL of 93 pages takes a header and three bodies.
static void use_large_rings(void)
{
    expect_equal("large ring to the host", open(MANY_PAGES, FEW_PAGES), VMBUS_OK);
    expect_equal("twice", open(MANY_PAGES, FEW_PAGES), VMBUS_NO_OFFER);
    expect_equal("through it", echo_sink(&channel, 3000, 2000, 1000), VMBUS_OK);
    expect_equal("closed", vmbus_close(&channel), VMBUS_OK);
    expect_equal("again", vmbus_close(&channel), VMBUS_NO_OFFER);
    expect_equal("large ring from the host", open(FEW_PAGES, MANY_PAGES), VMBUS_OK);
    expect_equal("out of it", echo_source(&channel, 3000, 2000), VMBUS_OK);
    expect_equal("closed", vmbus_close(&channel), VMBUS_OK);
}

static void be_refused(void)
{
    struct vmbus_packet packet;
    const struct vmbus_rings crooked = {memory + 8, 1, 1};
    const struct vmbus_offer *echo = vmbus_find_offer(&INTERFACE_ECHO, 0);

    expect_equal("rings that are no pages", vmbus_open(&channel, echo, crooked), VMBUS_INVALID);
    expect_equal("a ring without data", open(0, 1), VMBUS_INVALID);
    expect_equal("a ring that is too large", open(1, VMBUS_MOST_RING_PAGES + 1), VMBUS_INVALID);
    expect_equal("opened", open(FEW_PAGES, FEW_PAGES), VMBUS_OK);
    expect_equal("nothing there", vmbus_receive(&channel, buffer, sizeof(buffer), &packet),
                 VMBUS_EMPTY);
    expect_equal("longer than the ring", vmbus_send(&channel, VMBUS_IN_BAND, memory, 4096),
                 VMBUS_INVALID);
    expect_equal("room that never is", vmbus_wait_room(&channel, 4096), VMBUS_INVALID);
    expect_equal("room that there is", vmbus_wait_room(&channel, 64), VMBUS_OK);
    const struct echo_header echo_of_100[] = {{ECHO_ECHO, 100}};
    const struct vmbus_part parts[] = {{echo_of_100, 8}, {memory, 60}, {memory, 40}};
    expect_equal("parts", vmbus_send_parts(&channel, VMBUS_IN_BAND, parts, 3), VMBUS_OK);
    expect_equal("awaited", vmbus_wait(&channel), VMBUS_OK);
    expect_equal("too long for the buffer",
                 vmbus_receive(&channel, buffer, sizeof(buffer), &packet), VMBUS_TOO_LONG);
    expect_equal("closed", vmbus_close(&channel), VMBUS_OK);
}

// The host takes the device away while the guest sleeps, and offers another.
static void lose_the_device(void)
{
    struct vmbus_packet packet;

    expect_equal("opened", open(FEW_PAGES, FEW_PAGES), VMBUS_OK);
    expect_equal("asleep", vmbus_wait(&channel), VMBUS_GONE);
    expect_equal("sending", vmbus_send(&channel, VMBUS_IN_BAND, memory, 8), VMBUS_GONE);
    expect_equal("receiving", vmbus_receive(&channel, buffer, sizeof(buffer), &packet), VMBUS_GONE);
    expect_equal("closed", vmbus_close(&channel), VMBUS_OK);
    while (!vmbus_find_offer(&INTERFACE_ECHO, 0))
        vmbus_idle();
    expect_equal("another one", open(FEW_PAGES, FEW_PAGES), VMBUS_OK);
    expect_equal("works", echo_round_trip(&channel, 1, "back", 5), VMBUS_OK);
    expect_equal("closed", vmbus_close(&channel), VMBUS_OK);
}

// What cannot go through the channel any more goes through the port, and nothing is said twice.
static void lose_the_console(void)
{
    expect_equal("a console", vmbus_console_open(), VMBUS_OK);
    print("said through a ");
    print("channel\n");
    while (vmbus_find_offer(&INTERFACE_CONSOLE, 0))
        vmbus_idle();
    print("said through ");
    print("a port\n");
    expect_equal("closed", vmbus_console_close(), VMBUS_OK);
}

void guest_main(const struct boot_info *info)
{
    (void)info;
    descriptors_install(&area);
    speak_every_version();
    expect_equal("an old version", vmbus_connect(VMBUS_2_4 - 1), VMBUS_NO_BUS);
    expect_equal("disconnecting from nobody", vmbus_disconnect(), VMBUS_NO_BUS);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    print("version ");
    print_hex(vmbus_version());
    print("\n");
    use_large_rings();
    be_refused();
    lose_the_device();
    lose_the_console();
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
