// Writes and reads the same sectors along each way to a disk that it finds, so that ways can be
// compared. What it does is in `io_plan`, which whoever boots it may change before.

#include "io.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/pattern.h"

// Everything is volatile: a debugger or a loader writes here.
volatile struct io_plan io_plan = {
    .ways = ALL_WAYS, .request_bytes = 4096, .queue_depth = 4, .request_count = 16};

static struct vp_area area;

// What is counted lies between a call of io_begin and the next one of io_end.
__attribute__((noinline)) void io_begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void io_end(void)
{
    __asm__ volatile("");
}

static bool plan_is_sound(const struct io_plan *plan)
{
    return plan->request_bytes % 512 == 0 && plan->request_bytes > 0 &&
           plan->request_bytes <= MOST_REQUEST_BYTES && plan->queue_depth > 0 &&
           plan->queue_depth <= MOST_DEPTH && plan->request_count > 0;
}

// Of what the last requests have read: the sum of the words, each by its place.
static uint64_t checksum(const uint32_t *words, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum = sum * 31 + words[i];
    return sum;
}

static bool move_all(const struct io_way *way, const struct io_plan *plan, bool writes)
{
    bool is_done = true;

    io_begin();
    for (uint32_t first = 0; first < plan->request_count && is_done;) {
        const uint32_t left = plan->request_count - first;
        const uint32_t count = left < plan->queue_depth ? left : plan->queue_depth;
        is_done = way->move(plan, first, count, writes);
        first += count;
    }
    io_end();
    return is_done;
}

static void use(const struct io_way *way, const struct io_plan *plan)
{
    const uint32_t byte_count = plan->request_bytes * plan->queue_depth;
    uint32_t *words = (uint32_t *)plan->buffer;

    print(way->name);
    print(": ");
    print_decimal(plan->request_count);
    print(" requests of ");
    print_decimal(plan->request_bytes);
    print(" bytes\n");
    pattern_fill(words, byte_count / 4, 1);
    const uint64_t written = checksum(words, byte_count / 4);
    expect_true("all written", move_all(way, plan, true));
    pattern_fill(words, byte_count / 4, 2);
    expect_true("all read", move_all(way, plan, false));
    expect_equal("the sum of what was read", checksum(words, byte_count / 4), written);
}

void guest_main(const struct boot_info *info)
{
    struct io_plan plan = io_plan;
    uint32_t found = 0;

    plan.buffer = (uint8_t *)info->image_end;
    descriptors_install(&area);
    if (!expect_true("the plan can be carried out", plan_is_sound(&plan)))
        return;
    for (uint32_t i = 0; i < WAY_COUNT; i++) {
        if (!(plan.ways >> i & 1) || !io_ways[i].open(&plan))
            continue;
        found++;
        use(&io_ways[i], &plan);
        io_ways[i].close();
    }
    if (found == 0)
        print("There is no disk. Give one with --disk FILE or --disk FILE:scsi.\n");
}
