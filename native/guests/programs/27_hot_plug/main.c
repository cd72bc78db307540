// Keeps writing, reading and comparing on all its SCSI disks, while disks come and go.
//
// Each disk has sixteen places of four sectors. What is in a place begins with the seed that all of
// it is made of, so that whoever reads it, this guest or another, knows whether it is whole.

#include "lib/apic.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/integration.h"
#include "lib/memory.h"
#include "lib/pattern.h"
#include "lib/storage.h"
#include "lib/timer.h"
#include "lib/traps.h"

enum {
    SECTORS = 4,
    PLACES = 16,
    WORDS = SECTORS * STORAGE_SECTOR_BYTES / 4,
    MOST_CONTROLLERS = 4,
    MOST_DISKS = 64, // further ones are left alone
    RING_PAGES = 4,
    UNIT_ATTENTION = 6,
    LUNS_CHANGED = 0x3F0E,
    TIMER_VECTOR = 0x61,
    ROUNDS_FOR_FLUSH = 16,
};

// In units of 100 ns.
enum { BUSY_PERIOD = 100000, IDLE_PERIOD = 1000000, PATIENCE = 600000000 };

struct controller {
    struct storage storage;
    uint32_t number;
    uint32_t seen;    // of storage.changes: the list of disks is as of then
    bool is_doubtful; // a disk said that the list has changed, or was not there
    bool is_open;
};

struct known_disk {
    struct controller *controller; // NULL: this place is free
    struct storage_disk disk;
    char serial[STORAGE_SERIAL_BYTES];
    uint32_t seeds[PLACES]; // of what is on the disk; 0: nothing
    uint32_t rounds;
};

static struct vp_area area;
static struct controller controllers[MOST_CONTROLLERS];
static struct known_disk disks[MOST_DISKS];
static _Alignas(4096) uint8_t ring_memory[MOST_CONTROLLERS][2 * (1 + RING_PAGES) * 4096];
static uint32_t before[WORDS], after[WORDS];
static uint64_t last_change;

// All that is counted.
static struct {
    uint32_t came, went, attentions, vanished, rounds, broken, failed, found_after_end;
} counted;

static void fill(uint32_t *words, uint32_t seed)
{
    words[0] = seed;
    pattern_fill(words + 1, WORDS - 1, seed);
}

static bool is_whole(uint32_t seed)
{
    fill(before, seed);
    return memcmp(before, after, sizeof(after)) == 0;
}

// --- one request, and what it may meet ---

// A unit attention, or nobody at that LUN, is news of the controller's list and no failure.
static bool do_once(struct known_disk *known, struct storage_request request)
{
    const enum storage_status status = storage_do(&known->controller->storage, &request);
    const bool attends = status == STORAGE_FAILED && request.sense_key == UNIT_ATTENTION &&
                         request.additional == LUNS_CHANGED;

    counted.attentions += attends;
    counted.vanished += status == STORAGE_NO_DISK;
    if (attends || status == STORAGE_NO_DISK)
        known->controller->is_doubtful = true;
    else if (status != STORAGE_DONE)
        counted.failed++;
    return status == STORAGE_DONE;
}

static bool read_place(struct known_disk *known, uint32_t place)
{
    return do_once(known, storage_reading(&known->disk, place * SECTORS, after, SECTORS));
}

static bool write_place(struct known_disk *known, uint32_t place, uint32_t seed)
{
    fill(before, seed);
    if (!do_once(known, storage_writing(&known->disk, place * SECTORS, before, SECTORS)))
        return false;
    known->seeds[place] = seed;
    return true;
}

// A place is read and compared, and written anew.
static void use(struct known_disk *known)
{
    const uint32_t place = known->rounds % PLACES, seed = known->seeds[place];

    if (!read_place(known, place))
        return;
    counted.broken += seed != 0 && !is_whole(seed);
    counted.broken += seed == 0 && after[0] != 0 && !is_whole(after[0]);
    if (!write_place(known, place, (seed + 1) * 2654435761 | 1))
        return;
    if (++known->rounds % ROUNDS_FOR_FLUSH == 0 &&
        storage_flush(&known->controller->storage, &known->disk) == STORAGE_NO_DISK)
        known->controller->is_doubtful = true;
    counted.rounds++;
}

// --- disks come and go ---

static void tell_where(const char *what, const struct known_disk *known)
{
    print(what);
    print("controller ");
    print_decimal(known->controller->number);
    print(", LUN ");
    print_decimal(known->disk.lun);
}

static bool is_stale(const struct controller *controller)
{
    return controller->is_doubtful || controller->storage.changes != controller->seen;
}

// What another guest, or this one, wrote before is whole.
static uint32_t count_written(struct known_disk *known)
{
    uint32_t count = 0;

    for (uint32_t place = 0; place < PLACES; place++) {
        if (storage_read(&known->controller->storage, &known->disk, place * SECTORS, after,
                         SECTORS) != STORAGE_DONE)
            continue;
        known->seeds[place] = after[0];
        count += after[0] != 0;
        counted.broken += after[0] != 0 && !is_whole(after[0]);
    }
    return count;
}

static void meet(struct controller *controller, uint8_t lun)
{
    struct known_disk *known = disks;

    while (known < disks + MOST_DISKS && known->controller)
        known++;
    if (known == disks + MOST_DISKS)
        return;
    *known = (struct known_disk){.controller = controller};
    if (storage_find(&controller->storage, lun, &known->disk) != STORAGE_DONE ||
        storage_serial(&controller->storage, lun, known->serial) != STORAGE_DONE ||
        known->disk.sector_count < PLACES * SECTORS) {
        known->controller = NULL;
        return;
    }
    counted.came++;
    last_change = reference_time();
    tell_where("came    ", known);
    print(": ");
    print_decimal(known->disk.sector_count);
    print(" sectors, ");
    print_decimal(count_written(known));
    print(" places are written\n");
}

// The LUN answers that nobody is there, to INQUIRY and to everything else.
static void look_once_more(struct known_disk *known)
{
    struct controller *controller = known->controller;
    struct storage_request request = storage_reading(&known->disk, 0, after, SECTORS);
    struct storage_disk found;

    const bool answers =
        storage_find(&controller->storage, known->disk.lun, &found) != STORAGE_NO_DISK ||
        storage_do(&controller->storage, &request) != STORAGE_NO_DISK;
    counted.found_after_end += answers && controller->storage.changes == controller->seen;
}

static void part_from(struct known_disk *known, bool is_replaced)
{
    counted.went++;
    last_change = reference_time();
    tell_where("went    ", known);
    print(" after ");
    print_decimal(known->rounds);
    print(" rounds\n");
    if (!is_replaced)
        look_once_more(known);
    known->controller = NULL;
}

static struct known_disk *known_at(const struct controller *controller, uint8_t lun)
{
    for (struct known_disk *known = disks; known < disks + MOST_DISKS; known++)
        if (known->controller == controller && known->disk.lun == lun)
            return known;
    return NULL;
}

static void look_at_lun(struct controller *controller, uint8_t lun, bool is_listed)
{
    struct known_disk *known = known_at(controller, lun);
    char serial[STORAGE_SERIAL_BYTES];

    if (known && !is_listed) {
        part_from(known, false);
    } else if (known && storage_serial(&controller->storage, lun, serial) == STORAGE_DONE &&
               memcmp(serial, known->serial, sizeof(serial)) != 0) {
        part_from(known, true);
        known = NULL;
    }
    if (!known && is_listed)
        meet(controller, lun);
}

static void look_at(struct controller *controller)
{
    static bool is_listed[STORAGE_MOST_LUNS];
    uint8_t luns[STORAGE_MOST_LUNS];
    uint32_t count;

    controller->seen = controller->storage.changes;
    controller->is_doubtful = false;
    if (storage_list(&controller->storage, luns, &count) != STORAGE_DONE)
        return;
    memset(is_listed, 0, sizeof(is_listed));
    for (uint32_t i = 0; i < count; i++)
        is_listed[luns[i]] = true;
    for (uint32_t lun = 0; lun < STORAGE_MOST_LUNS; lun++)
        look_at_lun(controller, (uint8_t)lun, is_listed[lun]);
}

// --- controllers ---

static void open_controller(const struct vmbus_offer *offer)
{
    struct controller *controller = controllers;

    while (controller < controllers + MOST_CONTROLLERS && controller->is_open)
        controller++;
    if (controller == controllers + MOST_CONTROLLERS)
        return;
    const struct vmbus_rings rings = {ring_memory[controller - controllers], RING_PAGES,
                                      RING_PAGES};
    *controller = (struct controller){.number = offer->instance.rest[7] & 0xFu};
    counted.failed += storage_open(&controller->storage, offer, rings) != STORAGE_DONE;
    controller->is_open = controller->is_doubtful = true;
    print("offered controller ");
    print_decimal(controller->number);
    print("\n");
}

static void find_controllers(void)
{
    const struct vmbus_offer *offer;

    for (uint32_t nth = 0; (offer = vmbus_find_offer(&INTERFACE_SCSI, nth)); nth++)
        if (!offer->is_open && offer->sub_channel == 0)
            open_controller(offer);
}

static void look_at_all(void)
{
    find_controllers();
    for (struct controller *one = controllers; one < controllers + MOST_CONTROLLERS; one++) {
        if (one->is_open)
            counted.failed += storage_listen(&one->storage) != STORAGE_DONE;
        if (one->is_open && is_stale(one))
            look_at(one);
    }
}

static bool use_all(void)
{
    bool is_busy = false;

    for (struct known_disk *known = disks; known < disks + MOST_DISKS; known++) {
        if (!known->controller)
            continue;
        is_busy = true;
        if (!is_stale(known->controller))
            use(known);
    }
    return is_busy;
}

// --- the run ---

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
}

static void work(void)
{
    const struct integration_state *state = integration_state();

    last_change = reference_time();
    while (!state->is_to_shut_down && reference_time() < last_change + PATIENCE) {
        look_at_all();
        const uint64_t period = use_all() ? BUSY_PERIOD : IDLE_PERIOD;
        timer_direct_at(0, reference_time() + period, TIMER_VECTOR);
        vmbus_idle();
        integration_serve();
    }
    timer_stop(0);
    print(state->is_to_shut_down ? "The host asks for the end.\n"
                                 : "Nothing came or went for a minute.\n");
}

static void report(void)
{
    uint32_t notices = 0;

    for (uint32_t i = 0; i < MOST_CONTROLLERS; i++)
        notices += controllers[i].storage.changes;
    print_decimal(counted.came);
    print(" came, ");
    print_decimal(counted.went);
    print(" went; ");
    print_decimal(notices);
    print(" notices, ");
    print_decimal(counted.attentions);
    print(" unit attentions, ");
    print_decimal(counted.vanished);
    print(" requests too late; ");
    print_decimal(counted.rounds);
    print(" rounds\n");
    expect_equal("places that are not as they were written", counted.broken, 0);
    expect_equal("requests that failed", counted.failed, 0);
    expect_equal("disks that answered after they went", counted.found_after_end, 0);
}

static void close_controllers(void)
{
    for (struct controller *one = controllers; one < controllers + MOST_CONTROLLERS; one++)
        if (one->is_open)
            counted.failed += storage_close(&one->storage) != STORAGE_DONE;
}

void guest_main(const struct boot_info *info)
{
    static const struct integration_choices CHOICES = {.facts = NULL};

    (void)info;
    descriptors_install(&area);
    apic_enable();
    set_trap_handler(TIMER_VECTOR, on_timer);
    if (!expect_equal("connecting", vmbus_connect(VMBUS_NEWEST), VMBUS_OK))
        return;
    expect_equal("opening the services", integration_open(&CHOICES), VMBUS_OK);
    print("Waiting for disks: minihv disk attach FILE\n");
    work();
    close_controllers();
    report();
    expect_equal("closing the services", integration_close(), VMBUS_OK);
    expect_equal("disconnecting", vmbus_disconnect(), VMBUS_OK);
}
