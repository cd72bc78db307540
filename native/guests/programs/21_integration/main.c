// Answers what a host asks of every guest, until the host asks it to shut down.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/integration.h"
#include "lib/vmbus.h"

enum { SERVICE_COUNT = 4 };

static const uint64_t YEAR = UINT64_C(365) * 24 * 3600 * 10000000; // in units of 100 ns

static struct vp_area area;

static const struct integration_fact FACTS[] = {
    {"OSName", "21_integration"},
    {"OSVersion", "1.0"},
    {"ProcessorArchitecture", "9"},
    {"IntegrationServicesVersion", "1.0"},
};
static const struct integration_choices CHOICES = {.facts = FACTS,
                                                   .fact_count = sizeof(FACTS) / sizeof(FACTS[0])};

static void report(const struct integration_state *state)
{
    expect_equal("services whose versions are agreed on", state->agreed_count, SERVICE_COUNT);
    expect_true("heartbeats were answered", state->heartbeats != 0);
    expect_equal("times that the host set the clock", state->clock_settings, 1);
    expect_true("the clock shows a year after 2000", integration_clock() > 400 * YEAR);
    expect_true("the host asked for a shutdown", state->is_to_shut_down);
    expect_true("and for no restart", !state->is_to_restart);
}

void guest_main(const struct boot_info *info)
{
    const struct integration_state *state = integration_state();

    (void)info;
    descriptors_install(&area);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    expect_equal("opening the services", integration_open(&CHOICES), VMBUS_OK);
    expect_equal("services that there are", state->open_count, SERVICE_COUNT);
    for (;;) {
        integration_serve();
        if (state->is_to_shut_down)
            break;
        vmbus_idle();
    }
    report(state);
    expect_equal("closing them", integration_close(), VMBUS_OK);
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
