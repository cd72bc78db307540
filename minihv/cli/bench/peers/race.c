// Runs a race: two threads, or two processes over shared memory, pass numbered messages through a
// queue.
//
// Spec: POSIX.1, "pthread_create", "fork", "mmap".

#define _GNU_SOURCE
#include "race.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 4096, ALIGNMENT = 4096 };

// What both sides share. The queue follows it.
struct track {
    const struct racer *racer;
    const struct race *race;
    double began, ended;
    _Atomic bool ready, go, failed;
    _Alignas(ALIGNMENT) uint8_t queue[];
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void pin(int32_t cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
}

// After some vain tries the other side gets the processor, should both be on one.
static void wait_a_little(uint32_t *tries)
{
    if (++*tries % PATIENCE == 0)
        sched_yield();
    else
        __builtin_ia32_pause();
}

static void number_messages(uint8_t *messages, const struct race *race, uint64_t first)
{
    for (uint32_t i = 0; i < race->batch; i++) {
        const uint64_t number = first + i;

        memcpy(messages + (size_t)i * race->message_bytes, &number, sizeof number);
    }
}

static void *produce(void *argument)
{
    struct track *track = argument;
    const struct race *race = track->race;
    uint8_t messages[RACE_BATCH * RACE_MOST_BYTES] = {0};
    uint32_t tries = 0;

    pin(race->cpus[0]);
    atomic_store(&track->ready, true);
    while (!atomic_load(&track->go))
        wait_a_little(&tries);
    for (uint64_t next = 0; next < race->message_count && !atomic_load(&track->failed);) {
        number_messages(messages, race, next);
        for (uint32_t done = 0; done < race->batch && !atomic_load(&track->failed);) {
            const uint32_t taken = track->racer->push(
                track->queue, messages + (size_t)done * race->message_bytes, race->batch - done);
            done += taken;
            if (taken == 0)
                wait_a_little(&tries);
        }
        next += race->batch;
    }
    return NULL;
}

// Whether the messages carry the numbers from `first` on.
static bool are_numbered(const struct race_taken *taken, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number;

        memcpy(&number, taken->first + i * taken->stride, sizeof number);
        if (number != first + i)
            return false;
    }
    return true;
}

static void consume(struct track *track)
{
    const struct race *race = track->race;
    uint8_t room[RACE_ROOM_BYTES];
    struct race_taken taken;
    uint32_t tries = 0;

    pin(race->cpus[1]);
    while (!atomic_load(&track->ready))
        wait_a_little(&tries);
    track->began = seconds();
    atomic_store(&track->go, true);
    for (uint64_t next = 0; next < race->message_count;) {
        const uint32_t count = track->racer->pop(track->queue, room, race->batch, &taken);

        if (count == 0)
            wait_a_little(&tries);
        else if (count == UINT32_MAX || !are_numbered(&taken, next, count))
            atomic_store(&track->failed, true);
        if (atomic_load(&track->failed))
            return;
        next += count;
    }
    track->ended = seconds();
}

static bool with_threads(struct track *track)
{
    pthread_t producer;
    cpu_set_t before;

    sched_getaffinity(0, sizeof before, &before);
    if (pthread_create(&producer, NULL, produce, track) != 0)
        return false;
    consume(track);
    pthread_join(producer, NULL);
    sched_setaffinity(0, sizeof before, &before);
    return true;
}

static bool with_processes(struct track *track)
{
    cpu_set_t before;
    int status = 0;
    const pid_t producer = fork();

    if (producer == 0) {
        produce(track);
        _exit(0);
    }
    if (producer < 0)
        return false;
    sched_getaffinity(0, sizeof before, &before);
    consume(track);
    sched_setaffinity(0, sizeof before, &before);
    return waitpid(producer, &status, 0) == producer && status == 0;
}

double race_run(const struct racer *racer, const struct race *race)
{
    const size_t bytes = sizeof(struct track) + racer->queue_bytes;
    struct track *track =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    double result = -1;

    if (track == MAP_FAILED)
        return result;
    track->racer = racer;
    track->race = race;
    racer->create(track->queue, race->message_bytes);
    if ((race->processes ? with_processes(track) : with_threads(track)) &&
        !atomic_load(&track->failed))
        result = track->ended - track->began;
    munmap(track, bytes);
    return result;
}
