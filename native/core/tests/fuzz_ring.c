// A fuzz target: one end of a ring, over memory that the input fills, does what the input says.
//
// Spec: LLVM, "libFuzzer, a library for coverage-guided fuzz testing" (the entry point).
//
//   clang -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz_ring.c src/ring*.c -o fuzz_ring
//   cc -fsanitize=address,undefined -Iinclude tests/fuzz_ring.c tests/fuzz_main.c src/ring*.c ...
//
// The input: five words of the control page, the position of the end, a byte of how, a byte with
// the number of steps, two bytes for each step, and then the data of the ring.

#include "ring_checks.h"
#include <stdlib.h>

enum { PAGE = 4096, PAGES = 2, DATA = PAGES * PAGE, CAPACITY = 2048, PACKETS = 16 };
enum { HEADER = 28, SCATTERED = 1 };
enum step { READ, READ_IN_PLACE, READ_BATCH, COMMIT_READ, UNMASK, MASK, WRITE, COMMIT_WRITE };
enum { AWAIT_ROOM = COMMIT_WRITE + 1, MOVE_IN, MOVE_OUT, REWRITE, STEPS };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

// Memory of one run, each part from malloc: a byte too many is seen.
struct run {
    struct mhv_ring_control *control;
    uint8_t *data[PAGES]; // the second is in the first's piece, or before it
    uint8_t *buffer;
    struct mhv_ring ring;
};

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

static void begin(struct run *run, const uint8_t *input, const uint8_t *data, size_t data_bytes)
{
    uint32_t *const words[] = {&run->control->write_index, &run->control->read_index,
                               &run->control->interrupt_mask, &run->control->pending_send_size,
                               &run->control->features};
    const bool scattered = input[24] & SCATTERED;
    uint8_t *memory = calloc(1, DATA);

    for (int i = 0; i < 5; i++)
        *words[i] = word_at(input + 4 * i);
    memcpy(memory, data, data_bytes < DATA ? data_bytes : DATA);
    for (int i = 0; i < PAGES; i++)
        run->data[i] = memory + (scattered ? PAGES - 1 - i : i) * PAGE;
    expect(mhv_ring_attach(&run->ring, run->control, scattered ? NULL : memory,
                           scattered ? run->data : NULL, DATA) == MHV_OK);
    const uint32_t position = word_at(input + 20) % (DATA / 8) * 8;
    mhv_ring_resume(&run->ring, position, position);
}

static void end(struct run *run, bool scattered)
{
    free(run->data[scattered ? PAGES - 1 : 0]);
    free(run->control);
    free(run->buffer);
}

static struct mhv_ring_result read_step(struct run *run, enum step step)
{
    struct mhv_ring_packet packets[PACKETS];
    struct mhv_ring_snapshot snapshot = {run->buffer, packets, CAPACITY, PACKETS, 0};
    const uint8_t *place = run->buffer;
    struct mhv_ring_result result;

    if (step == READ_BATCH) {
        result = mhv_ring_read_batch(&run->ring, &snapshot);
        for (uint32_t i = 0; i < snapshot.count; i++)
            expect(packet_problem(run->buffer, &packets[i], CAPACITY) == NULL);
        return result;
    }
    result = step == READ
                 ? mhv_ring_read(&run->ring, run->buffer, CAPACITY, packets)
                 : mhv_ring_read_in_place(&run->ring, run->buffer, CAPACITY, packets, &place);
    if (result.outcome == MHV_RING_OK)
        expect(packet_problem(place, packets, step == READ ? CAPACITY : DATA) == NULL);
    return result;
}

static struct mhv_ring_result write_step(struct run *run, uint32_t argument)
{
    const struct mhv_ring_head head = {.kind = MHV_PACKET_KIND_IN_BAND};
    const struct mhv_ring_part parts[] = {{run->buffer, argument * 4}, {run->buffer, argument}};

    return mhv_ring_write(&run->ring, &head, parts, 2);
}

static struct mhv_ring_result take_step(struct run *run, uint32_t step, uint32_t argument)
{
    struct mhv_ring_result result = {MHV_RING_OK, 0};

    switch (step) {
    case READ:
    case READ_IN_PLACE:
    case READ_BATCH:
        return read_step(run, (enum step)step);
    case COMMIT_READ:
        mhv_ring_commit_read(&run->ring);
        break;
    case UNMASK:
        mhv_ring_unmask(&run->ring);
        break;
    case MASK:
        mhv_ring_mask(&run->ring);
        break;
    case WRITE:
        return write_step(run, argument);
    case COMMIT_WRITE:
        mhv_ring_commit_write(&run->ring);
        break;
    case AWAIT_ROOM:
        return mhv_ring_await_room(&run->ring, argument * 16);
    case MOVE_IN:
        run->control->write_index = argument * 32 % DATA;
        break;
    case MOVE_OUT:
        run->control->read_index = argument * 32 % DATA;
        break;
    default:
        run->data[argument % PAGES][argument * 8] ^= (uint8_t)(1 << argument % 8);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct run run = {.control = calloc(1, sizeof *run.control), .buffer = calloc(1, CAPACITY)};

    if (byte_count < HEADER) {
        free(run.control);
        free(run.buffer);
        return 0;
    }
    const uint32_t asked = bytes[25] % 64u;
    const uint32_t steps = asked * 2 <= byte_count - HEADER ? asked : 0;
    const uint8_t *script = bytes + HEADER;
    begin(&run, bytes, script + 2 * steps, byte_count - HEADER - 2 * steps);
    for (uint32_t i = 0; i < steps; i++) {
        const uint32_t reason = run.ring.reason;
        const struct mhv_ring_result result =
            take_step(&run, script[2 * i] % STEPS, script[2 * i + 1]);

        expect(run.ring.position % 8 == 0 && run.ring.position < DATA);
        expect(result.outcome <= MHV_RING_TOO_LONG);
        expect((result.outcome == MHV_RING_CORRUPT) <= (run.ring.reason != 0));
        expect(reason == 0 || reason == run.ring.reason);
    }
    end(&run, bytes[24] & SCATTERED);
    return 0;
}
