// Writes and reads the same sectors along each way to a disk that it finds, so that ways can be
// compared. What it does is in `io_plan`, which whoever boots it may change before.

#include "lib/block.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/pattern.h"

enum { ALL_WAYS = (1 << BLOCK_WAYS) - 1 };

struct io_plan {
    uint32_t ways; // a bit for each way that may be used
    uint32_t request_bytes;
    uint32_t queue_depth; // requests that are on their way at once, where the way has room for them
    uint32_t request_count;
    uint8_t *buffer; // request_bytes * queue_depth; the program's own business
};

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
           plan->request_bytes <= BLOCK_MOST_BYTES && plan->queue_depth > 0 &&
           plan->queue_depth <= BLOCK_MOST_PIECES && plan->request_count > 0;
}

// Of what the last requests have read: the sum of the words, each by its place.
static uint64_t checksum(const uint32_t *words, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum = sum * 31 + words[i];
    return sum;
}

// Requests from number `first` on. Request n is for the n-th piece of the disk, and uses the
// buffer's piece n - first.
static void describe(struct block_piece *pieces, uint32_t sector_bytes, const struct io_plan *plan,
                     uint32_t first)
{
    const uint32_t sectors = plan->request_bytes / sector_bytes;

    for (uint32_t i = 0; i < plan->queue_depth; i++)
        pieces[i] = (struct block_piece){(uint64_t)sectors * (first + i),
                                         plan->buffer + (uint64_t)plan->request_bytes * i, sectors};
}

static bool move_all(const struct block_device *device, const struct io_plan *plan, bool writes)
{
    struct block_piece pieces[BLOCK_MOST_PIECES];
    bool is_done = true;

    io_begin();
    for (uint32_t first = 0; first < plan->request_count && is_done;) {
        const uint32_t left = plan->request_count - first;
        const uint32_t count = left < plan->queue_depth ? left : plan->queue_depth;
        describe(pieces, device->sector_bytes, plan, first);
        is_done = device->move(device->disk, pieces, count, writes);
        first += count;
    }
    io_end();
    return is_done;
}

static void use(const char *name, const struct block_device *device, const struct io_plan *plan)
{
    const uint32_t byte_count = plan->request_bytes * plan->queue_depth;
    uint32_t *words = (uint32_t *)plan->buffer;

    print(name);
    print(": ");
    print_decimal(plan->request_count);
    print(" requests of ");
    print_decimal(plan->request_bytes);
    print(" bytes\n");
    pattern_fill(words, byte_count / 4, 1);
    const uint64_t written = checksum(words, byte_count / 4);
    expect_true("all written", move_all(device, plan, true));
    pattern_fill(words, byte_count / 4, 2);
    expect_true("all read", move_all(device, plan, false));
    expect_equal("the sum of what was read", checksum(words, byte_count / 4), written);
}

static bool is_large_enough(const struct block_device *device, const struct io_plan *plan)
{
    return device->sector_count * device->sector_bytes / plan->request_bytes >= plan->request_count;
}

// Whether there is such a disk.
static bool take(const struct block_way *way, const struct io_plan *plan)
{
    struct block_device device;

    if (!way->open(&device, 0))
        return false;
    const bool is_used = is_large_enough(&device, plan);
    if (is_used)
        use(way->name, &device, plan);
    block_close(&device);
    return is_used;
}

void guest_main(const struct boot_info *info)
{
    struct io_plan plan = io_plan;
    uint32_t found = 0;

    plan.buffer = (uint8_t *)info->image_end;
    descriptors_install(&area);
    if (!expect_true("the plan can be carried out", plan_is_sound(&plan)))
        return;
    for (uint32_t i = 0; i < BLOCK_WAYS; i++)
        found += plan.ways >> i & 1 && take(&block_ways[i], &plan);
    if (found == 0)
        print("There is no disk. Give one with --disk FILE or --disk FILE:scsi.\n");
}
