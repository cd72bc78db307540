// Finds its parent over VMBus, and says hello down a channel and no longer through a port.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/vmbus.h"
#include "lib/vmbus_console.h"
#include <stddef.h>

struct known {
    const char *name;
    const struct guid *interface;
};

static const struct known DEVICES[] = {
    {"console", &INTERFACE_CONSOLE},     {"echo", &INTERFACE_ECHO},
    {"heartbeat", &INTERFACE_HEARTBEAT}, {"shutdown", &INTERFACE_SHUTDOWN},
    {"time sync", &INTERFACE_TIME_SYNC}, {"key-value exchange", &INTERFACE_KVP},
};
enum { DEVICE_COUNT = sizeof(DEVICES) / sizeof(DEVICES[0]) };

static struct vp_area area;

static void list_offers(void)
{
    for (uint32_t i = 0; i < DEVICE_COUNT; i++)
        expect_true(DEVICES[i].name, vmbus_find_offer(DEVICES[i].interface, 0) != NULL);
}

static void speak(void)
{
    for (uint32_t line = 1; line <= 3; line++) {
        print("Line ");
        print_decimal(line);
        print(" is a packet in a ring, and no OUT.\n");
    }
}

void guest_main(const struct boot_info *info)
{
    (void)info;
    descriptors_install(&area);
    print("This is an OUT for each letter.\n");
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK)) {
        print("There is no parent that serves VMBus: run it with --parent.\n");
        return;
    }
    expect_equal("VMBus version", vmbus_version(), VMBUS_NEWEST);
    list_offers();
    if (expect_equal("opening the console", vmbus_console_open(), VMBUS_OK)) {
        speak();
        expect_equal("closing it", vmbus_console_close(), VMBUS_OK);
    }
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
