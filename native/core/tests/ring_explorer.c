// Every way in which two ends of a ring can run at the same time, one after the other.
//
//   ring_explorer              explores the ring as it is: exit code 0 when nothing goes wrong
//   ring_explorer PUBLISH_IN   the same without that order or barrier of src/ring_order.h
//   ring_explorer PUBLISH_IN trace   and how it went wrong
//
// The ends are the ring's own source, compiled over the model of memory below. It is that of C11
// for words that one thread writes: a load may return any store that its thread is not known to
// have passed, not only the last one. What a thread has passed is its *view*; an acquire takes over
// the view of the release that it reads from, a full barrier exchanges views with all full barriers
// before it. A store buffer is a special case, and so is a processor that loads out of order.
//
// The bytes of packets are not atomic. An access to one that is not ordered after the other
// thread's last one is a race, and found by vector clocks whatever the order it happened in.
//
// A thread is a loop. For each step, its body is run again from the begin of the round and given
// what it loaded before; so the state of a thread is what it has kept from round to round, and the
// list of what it loaded since. States that were seen before are not explored again, and what can
// make no difference any more is taken out of a state before it is looked for.

#include "../src/ring_order.h"
#include "minihv/ring.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SENDER, RECEIVER, THREADS };
enum { IN, OUT, MASK, PENDING, WORDS };
enum { MOST_STORES = 16, MOST_RESULTS = 64, MOST_DATA = 32, MOST_DEPTH = 400 };

// What a thread has seen of each word, and of each thread.
struct view {
    uint8_t stores[WORDS];
    uint8_t clock[THREADS];
};

struct store {
    uint32_t value;
    struct view view; // what an acquire takes over
};

enum operation { LOAD, STORE, BARRIER, SIGNAL, SLEEP, FINISHED };

struct step {
    uint32_t operation;
    uint32_t word;
    uint32_t value;
    uint32_t ordered; // acquire or release
};

// What a thread keeps from one round of its loop to the next.
struct kept {
    struct mhv_ring ring;
    uint64_t packets; // sent or received
};

struct thread {
    struct view now, acquired, released;
    struct view signal; // of the last signal that was not taken
    uint32_t signalled;
    struct step next;
    struct kept kept;
    uint32_t result_count;
    uint64_t results[MOST_RESULTS];
};

struct state {
    struct store stores[WORDS][MOST_STORES];
    uint32_t store_count[WORDS];
    struct view barrier;
    uint64_t data[MOST_DATA];
    uint8_t written_by[MOST_DATA], written_at[MOST_DATA], read_at[THREADS][MOST_DATA];
    struct thread threads[THREADS];
};

// What the two threads do.
struct scenario {
    const char *name;
    uint32_t byte_count;   // of the ring's data
    uint32_t packets;      // of 32 bytes
    uint32_t per_commit;   // of the sender
    bool publishes_before; // and it publishes each
    bool masks;            // the receiver, while it reads
    bool keeps_room;       // it gives room back only when the ring is empty
    bool snapshots;        // it reads in batches
};

static const struct scenario SCENARIOS[] = {
    {"one packet at a time", 256, 2, 1, false, false, false, false},
    {"a receiver that masks", 256, 2, 1, false, true, true, false},
    {"batches", 256, 4, 2, false, true, true, true},
    {"published one by one, signalled by two", 256, 4, 2, true, false, false, false},
    {"room for one packet", 64, 3, 1, false, false, false, false},
    {"room for two packets", 72, 4, 1, false, false, false, false},
    {"room for two packets, given back together", 72, 4, 2, false, true, true, true},
    {"room for three packets", 104, 5, 1, false, true, true, false},
};
enum { SCENARIO_COUNT = sizeof SCENARIOS / sizeof SCENARIOS[0], PACKET_BYTES = 32 };

enum ring_order explored_without = NO_ORDER;
static const char *const NAMES[] = {
    "NO_ORDER",         "PUBLISH_IN",         "TAKE_IN",
    "PUBLISH_OUT",      "TAKE_OUT",           "IN_BEFORE_MASK",
    "UNMASK_BEFORE_IN", "PENDING_BEFORE_OUT", "OUT_BEFORE_PENDING",
};
enum { NAME_COUNT = sizeof NAMES / sizeof NAMES[0] };

static const struct scenario *scenario;
static struct state *current; // of the thread that runs
static uint32_t running, replayed;
static jmp_buf stopped;
static const char *complaint;
static uint64_t state_count;

// What ends point to; their values are in the state.
static struct mhv_ring_control control;
static uint8_t data[MOST_DATA * sizeof(uint64_t)];

// ---------------------------------------------------------------- threads, run again and again

static struct thread *self(void)
{
    return &current->threads[running];
}

// The result of a step that was made before, or the end of this run, at the first that was not.
static uint64_t step(struct step next)
{
    if (replayed < self()->result_count)
        return self()->results[replayed++];
    self()->next = next;
    longjmp(stopped, 1);
}

static void wrong(const char *words)
{
    complaint = words;
    longjmp(stopped, 1);
}

static uint32_t word_of(const uint32_t *word)
{
    static uint32_t *const PLACES[WORDS] = {&control.write_index, &control.read_index,
                                            &control.interrupt_mask, &control.pending_send_size};
    uint32_t number = 0;

    while (number < WORDS && PLACES[number] != word)
        number++;
    return number;
}

uint32_t explored_load(const uint32_t *word, bool acquire)
{
    if (word == &control.features) // nobody writes it
        return 1u << MHV_RING_FEATURES_PENDING_SEND_SIZE;
    return (uint32_t)step((struct step){LOAD, word_of(word), 0, acquire});
}

void explored_store(uint32_t *word, uint32_t value, bool release)
{
    step((struct step){STORE, word_of(word), value, release});
}

void explored_barrier(void)
{
    step((struct step){BARRIER, 0, 0, 0});
}

static bool is_new(void)
{
    return replayed == self()->result_count;
}

void explored_read(uint8_t *to, const uint8_t *from, uint32_t byte_count)
{
    const uint32_t first = (uint32_t)(from - data) / sizeof(uint64_t);

    for (uint32_t i = 0; i < byte_count / sizeof(uint64_t); i++) {
        const uint32_t at = first + i;
        if (is_new()) {
            if (current->written_at[at] > self()->now.clock[current->written_by[at]])
                wrong("the receiver reads a byte that the sender may be writing");
            current->read_at[running][at] = self()->now.clock[running];
            self()->results[self()->result_count++] = current->data[at];
        }
        memcpy(to + i * sizeof(uint64_t), &self()->results[replayed++], sizeof(uint64_t));
    }
}

void explored_write(uint8_t *to, const uint8_t *from, uint32_t byte_count)
{
    const uint32_t first = (uint32_t)(to - data) / sizeof(uint64_t);

    if (!is_new())
        return;
    for (uint32_t i = 0; i < byte_count / sizeof(uint64_t); i++) {
        const uint32_t at = first + i;
        if (current->read_at[!running][at] > self()->now.clock[!running])
            wrong("the sender writes to a byte that the receiver may be reading");
        current->written_by[at] = (uint8_t)running;
        current->written_at[at] = self()->now.clock[running];
        memcpy(&current->data[at], from + i * sizeof(uint64_t), sizeof(uint64_t));
    }
}

static void signal_peer(void)
{
    step((struct step){SIGNAL, 0, 0, 0});
}

static void sleep_until_signal(void)
{
    step((struct step){SLEEP, 0, 0, 0});
}

static void commit(struct mhv_ring *ring)
{
    if (mhv_ring_commit_write(ring))
        signal_peer();
}

// One round of the sender: a packet, or the wait for its room. Whether it was not the last.
static bool send(struct kept *kept)
{
    const uint64_t payload = 0x5EED000000000000 + kept->packets;
    const struct mhv_ring_head head = {.transaction_id = kept->packets,
                                       .kind = MHV_PACKET_KIND_IN_BAND};
    const struct mhv_ring_part part = {.bytes = &payload, .byte_count = sizeof payload};
    const bool full = mhv_ring_write(&kept->ring, &head, &part, 1).outcome == MHV_RING_FULL;

    if (full) {
        commit(&kept->ring);
        if (mhv_ring_await_room(&kept->ring, PACKET_BYTES).outcome == MHV_RING_FULL)
            sleep_until_signal();
    }
    if (kept->ring.reason != 0)
        wrong("the sender takes an honest receiver for corrupt");
    if (full)
        return true;
    if (scenario->publishes_before)
        mhv_ring_publish_write(&kept->ring);
    if (++kept->packets % scenario->per_commit == 0)
        commit(&kept->ring);
    return kept->packets < scenario->packets;
}

static void check(const struct mhv_ring_packet *packet, const uint8_t *bytes, uint64_t n)
{
    uint64_t payload;

    memcpy(&payload, bytes + packet->payload_offset, sizeof payload);
    if (packet->transaction_id != n || payload != 0x5EED000000000000 + n)
        wrong("a packet is lost or torn");
}

// Reads what is there: how many packets.
static uint32_t read_some(struct mhv_ring *ring, uint64_t next)
{
    uint8_t bytes[PACKET_BYTES * 4];
    struct mhv_ring_packet packets[4];
    struct mhv_ring_snapshot snapshot = {bytes, packets, sizeof bytes, 4, 0};
    uint32_t count;

    if (scenario->snapshots) {
        mhv_ring_read_batch(ring, &snapshot);
        count = snapshot.count;
    } else
        count = mhv_ring_read(ring, bytes, sizeof bytes, packets).outcome == MHV_RING_OK;
    if (ring->reason != 0)
        wrong("the receiver takes an honest sender for corrupt");
    for (uint32_t i = 0; i < count; i++)
        check(&packets[i], bytes, next + i);
    return count;
}

// One round of the receiver: what is there, or sleep. Whether it was not the last.
static bool receive(struct kept *kept)
{
    const uint32_t count = read_some(&kept->ring, kept->packets);
    const bool last = kept->packets + count == scenario->packets;

    kept->packets += count;
    if (count == 0 || last || !scenario->keeps_room)
        if (mhv_ring_commit_read(&kept->ring))
            signal_peer();
    if (count != 0)
        return !last;
    if (!mhv_ring_unmask(&kept->ring))
        sleep_until_signal();
    if (scenario->masks)
        mhv_ring_mask(&kept->ring);
    return true;
}

// Runs `thread` of `state` up to its next step.
static void advance(struct state *state, uint32_t thread)
{
    static struct kept kept;
    bool more;

    current = state;
    running = thread;
    if (setjmp(stopped) != 0)
        return;
    do {
        replayed = 0;
        kept = self()->kept;
        more = thread == SENDER ? send(&kept) : receive(&kept);
        self()->kept = kept;
        self()->result_count = 0;
        memset(self()->results, 0, sizeof self()->results);
    } while (more);
    self()->next = (struct step){FINISHED, 0, 0, 0};
}

// ---------------------------------------------------------------- the model of memory

static void join(struct view *view, const struct view *other, bool with_clock)
{
    for (uint32_t i = 0; i < WORDS; i++)
        if (view->stores[i] < other->stores[i])
            view->stores[i] = other->stores[i];
    for (uint32_t i = 0; with_clock && i < THREADS; i++)
        if (view->clock[i] < other->clock[i])
            view->clock[i] = other->clock[i];
}

static void do_load(struct state *state, struct thread *thread, uint32_t choice)
{
    const struct store *store = &state->stores[thread->next.word][choice];

    thread->now.stores[thread->next.word] = (uint8_t)choice;
    join(&thread->acquired, &store->view, true);
    if (thread->next.ordered)
        join(&thread->now, &store->view, true);
    thread->results[thread->result_count++] = store->value;
}

static void do_store(struct state *state, struct thread *thread, uint32_t number)
{
    const uint32_t word = thread->next.word;
    const uint32_t at = state->store_count[word]++;

    if (at == MOST_STORES)
        abort();
    thread->now.stores[word] = (uint8_t)at;
    state->stores[word][at].value = thread->next.value;
    state->stores[word][at].view = thread->next.ordered ? thread->now : thread->released;
    state->stores[word][at].view.stores[word] = (uint8_t)at;
    thread->now.clock[number]++;
    thread->results[thread->result_count++] = 0;
}

// Order, but no knowledge of what others did to bytes: that takes a word to carry it.
static void do_barrier(struct state *state, struct thread *thread, uint32_t number)
{
    join(&thread->now, &thread->acquired, true);
    join(&state->barrier, &thread->now, false);
    join(&thread->now, &state->barrier, false);
    thread->released = thread->now;
    thread->now.clock[number]++;
    thread->results[thread->result_count++] = 0;
}

// How many ways there are to make the next step of a thread.
static uint32_t choices(const struct state *state, const struct thread *thread)
{
    switch (thread->next.operation) {
    case LOAD:
        return state->store_count[thread->next.word] - thread->now.stores[thread->next.word];
    case SLEEP:
        return thread->signalled;
    case FINISHED:
        return 0;
    default:
        return 1;
    }
}

static void make_step(struct state *state, uint32_t number, uint32_t choice)
{
    struct thread *thread = &state->threads[number];
    struct thread *peer = &state->threads[!number];

    switch (thread->next.operation) {
    case LOAD:
        do_load(state, thread, thread->now.stores[thread->next.word] + choice);
        break;
    case STORE:
        do_store(state, thread, number);
        break;
    case BARRIER:
        do_barrier(state, thread, number);
        break;
    case SIGNAL: // whoever is woken by it sees what the signaller saw
        peer->signalled = 1;
        join(&peer->signal, &thread->now, true);
        thread->now.clock[number]++;
        thread->results[thread->result_count++] = 0;
        break;
    case SLEEP:
        thread->signalled = 0;
        join(&thread->now, &thread->signal, true);
        memset(&thread->signal, 0, sizeof thread->signal);
        thread->results[thread->result_count++] = 0;
        break;
    default:
        break;
    }
    if (thread->result_count > MOST_RESULTS - 32)
        abort();
    advance(state, number);
}

// ---------------------------------------------------------------- what can make no difference

static void forget_in_view(struct view *view, const uint8_t *dropped, const uint8_t *least)
{
    for (uint32_t i = 0; i < WORDS; i++)
        view->stores[i] =
            view->stores[i] > dropped[i] ? (uint8_t)(view->stores[i] - dropped[i]) : 0;
    for (uint32_t i = 0; i < THREADS; i++)
        view->clock[i] = view->clock[i] > least[i] ? (uint8_t)(view->clock[i] - least[i]) : 0;
}

static void forget_in_views(struct state *state, const uint8_t *dropped, const uint8_t *least)
{
    forget_in_view(&state->barrier, dropped, least);
    for (uint32_t i = 0; i < THREADS; i++) {
        struct thread *thread = &state->threads[i];
        forget_in_view(&thread->now, dropped, least);
        forget_in_view(&thread->acquired, dropped, least);
        forget_in_view(&thread->released, dropped, least);
        forget_in_view(&thread->signal, dropped, least);
    }
    for (uint32_t word = 0; word < WORDS; word++)
        for (uint32_t i = 0; i < state->store_count[word]; i++)
            forget_in_view(&state->stores[word][i].view, dropped, least);
}

// Stores that both threads have passed; accesses to bytes that the other thread knows of, and the
// time until then.
static void forget(struct state *state)
{
    const uint8_t least[THREADS] = {state->threads[RECEIVER].now.clock[SENDER],
                                    state->threads[SENDER].now.clock[RECEIVER]};
    uint8_t dropped[WORDS];

    for (uint32_t word = 0; word < WORDS; word++) {
        struct store *stores = state->stores[word];
        const uint8_t a = state->threads[SENDER].now.stores[word];
        const uint8_t b = state->threads[RECEIVER].now.stores[word];

        dropped[word] = a < b ? a : b;
        state->store_count[word] -= dropped[word];
        memmove(stores, stores + dropped[word], state->store_count[word] * sizeof *stores);
        memset(stores + state->store_count[word], 0,
               (MOST_STORES - state->store_count[word]) * sizeof *stores);
    }
    forget_in_views(state, dropped, least);
    for (uint32_t i = 0; i < MOST_DATA; i++) {
        const uint8_t by = state->written_by[i];
        const uint8_t at = state->written_at[i];
        state->written_at[i] = at > least[by] ? (uint8_t)(at - least[by]) : 0;
        for (uint32_t t = 0; t < THREADS; t++)
            state->read_at[t][i] =
                state->read_at[t][i] > least[t] ? (uint8_t)(state->read_at[t][i] - least[t]) : 0;
    }
}

// ---------------------------------------------------------------- the exploration

struct trace {
    uint32_t thread;
    struct step step;
    uint64_t result;
    uint32_t stale; // a load: how many stores it is behind
};
static struct trace trace[MOST_DEPTH];

static uint64_t *seen;
static uint64_t seen_size, seen_count;

static uint64_t hash_of(const struct state *state)
{
    const uint64_t *words = (const uint64_t *)(const void *)state;
    uint64_t hash = 0x9E3779B97F4A7C15;

    for (size_t i = 0; i < sizeof *state / sizeof *words; i++) {
        hash = (hash ^ words[i]) * 0xD6E8FEB86659FD93;
        hash ^= hash >> 32;
    }
    return hash | 1;
}

static bool insert(uint64_t hash)
{
    uint64_t at = hash & (seen_size - 1);

    while (seen[at] != 0 && seen[at] != hash)
        at = (at + 1) & (seen_size - 1);
    if (seen[at] == hash)
        return false;
    seen[at] = hash;
    seen_count++;
    return true;
}

// Whether this state was not seen before; the table grows when it is half full.
static bool is_unseen(const struct state *state)
{
    if (2 * seen_count >= seen_size) {
        uint64_t *old = seen;
        const uint64_t old_size = seen_size;

        seen_size = old_size == 0 ? 1 << 16 : 2 * old_size;
        seen_count = 0;
        seen = calloc(seen_size, sizeof *seen);
        if (seen == NULL)
            abort();
        for (uint64_t i = 0; i < old_size; i++)
            if (old[i] != 0)
                insert(old[i]);
        free(old);
    }
    return insert(hash_of(state));
}

static bool explore(const struct state *state, uint32_t depth);

static uint64_t loaded(const struct state *state, uint32_t thread, uint32_t choice)
{
    const uint32_t word = state->threads[thread].next.word;

    return state->stores[word][state->threads[thread].now.stores[word] + choice].value;
}

// Whether all that can come of one step is right.
static bool try_step(const struct state *state, uint32_t thread, uint32_t choice, uint32_t depth)
{
    struct state *after = malloc(sizeof *after);
    const struct step next = state->threads[thread].next;
    bool right;

    if (after == NULL || depth == MOST_DEPTH)
        abort();
    memcpy(after, state, sizeof *after);
    make_step(after, thread, choice);
    forget(after);
    trace[depth] = (struct trace){
        .thread = thread,
        .step = next,
        .result = next.operation == LOAD ? loaded(state, thread, choice) : 0,
        .stale = choices(state, &state->threads[thread]) - 1 - choice,
    };
    trace[depth + 1 < MOST_DEPTH ? depth + 1 : depth].thread = THREADS;
    right = complaint == NULL && (!is_unseen(after) || explore(after, depth + 1));
    free(after);
    return right;
}

static bool explore(const struct state *state, uint32_t depth)
{
    uint32_t enabled = 0;

    state_count++;
    for (uint32_t thread = 0; thread < THREADS; thread++) {
        const uint32_t count = choices(state, &state->threads[thread]);
        for (uint32_t choice = 0; choice < count; choice++)
            if (!try_step(state, thread, choice, depth))
                return false;
        enabled += count;
    }
    if (enabled != 0)
        return true;
    const bool receiver_sleeps = state->threads[RECEIVER].next.operation == SLEEP;
    const bool sender_sleeps = state->threads[SENDER].next.operation == SLEEP;
    if (receiver_sleeps && sender_sleeps)
        complaint = "both sleep, and nobody will wake them";
    else if (receiver_sleeps)
        complaint = "the receiver sleeps, and nobody will wake it";
    else if (sender_sleeps)
        complaint = "the sender sleeps, and nobody will wake it";
    return complaint == NULL;
}

static void print_trace(void)
{
    static const char *const WORD_NAMES[] = {"in", "out", "mask", "pending"};
    static const char *const WHO[] = {"sender", "receiver"};

    for (uint32_t i = 0; i < MOST_DEPTH && trace[i].thread != THREADS; i++) {
        const struct step *step = &trace[i].step;

        printf("    %-8s ", WHO[trace[i].thread]);
        if (step->operation == LOAD) {
            printf("%s of %s: %u", step->ordered ? "acquire" : "load", WORD_NAMES[step->word],
                   (unsigned)trace[i].result);
            printf(trace[i].stale ? ", %u stores old\n" : "\n", trace[i].stale);
        } else if (step->operation == STORE)
            printf("%s of %s: %u\n", step->ordered ? "release" : "store", WORD_NAMES[step->word],
                   step->value);
        else
            printf("%s\n", step->operation == BARRIER  ? "full barrier"
                           : step->operation == SIGNAL ? "signals"
                                                       : "was asleep");
    }
}

static bool explore_scenario(const struct scenario *asked, bool verbose)
{
    struct state *begin = calloc(1, sizeof *begin);
    bool right;

    if (begin == NULL)
        abort();
    scenario = asked;
    complaint = NULL;
    state_count = seen_count = seen_size = 0;
    free(seen);
    seen = NULL;
    for (uint32_t i = 0; i < WORDS; i++)
        begin->store_count[i] = 1;
    for (uint32_t i = 0; i < THREADS; i++) {
        begin->threads[i].now.clock[i] = 1;
        mhv_ring_attach(&begin->threads[i].kept.ring, &control, data, NULL, asked->byte_count);
    }
    advance(begin, SENDER);
    advance(begin, RECEIVER);
    right = complaint == NULL && explore(begin, 0);
    printf("%s: %llu states, %s\n", asked->name, (unsigned long long)state_count,
           right ? "nothing wrong" : complaint);
    if (!right && verbose)
        print_trace();
    free(begin);
    return right;
}

int main(int argc, char **argv)
{
    bool right = true;

    for (uint32_t i = 1; argc > 1 && i < NAME_COUNT; i++)
        if (strcmp(argv[1], NAMES[i]) == 0)
            explored_without = (enum ring_order)i;
    if (argc > 1 && explored_without == NO_ORDER) {
        fprintf(stderr, "%s is no order or barrier of the ring; see src/ring_order.h\n", argv[1]);
        return 2;
    }
    for (uint32_t i = 0; i < SCENARIO_COUNT; i++)
        right = explore_scenario(&SCENARIOS[i], argc > 2) && right;
    return right ? 0 : 1;
}
