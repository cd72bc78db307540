// Heartbeat, shutdown and time: what the guest says to each question.

#include "lib/integration_services.h"
#include "lib/memory.h"
#include "lib/timer.h"

// The host's clock minus the reference counter; valid once the host has told it.
static uint64_t clock_offset;
static bool clock_is_known;

uint32_t answer_heartbeat(struct ic_question *question)
{
    struct ic_heartbeat beat;

    if (question->body_bytes < sizeof(beat))
        return IC_FAIL;
    memcpy(&beat, question->body, sizeof(beat));
    beat.sequence++;
    beat.application_state = IC_APPLICATIONS_HEALTHY;
    memcpy(question->body, &beat, sizeof(beat));
    integration_now.heartbeats++;
    return IC_OK;
}

// Forced or not makes no difference to a guest with one program; what it does not know, it refuses.
uint32_t answer_shutdown(struct ic_question *question)
{
    const uint32_t known = IC_SHUTDOWN_FORCE | IC_SHUTDOWN_RESTART;
    struct ic_shutdown wish;

    if (question->body_bytes < sizeof(wish))
        return IC_FAIL;
    memcpy(&wish, question->body, sizeof(wish));
    if ((wish.flags & ~known) || integration_chosen->refuses_shutdown)
        return IC_FAIL;
    integration_now.is_to_shut_down = true;
    integration_now.is_to_restart = (wish.flags & IC_SHUTDOWN_RESTART) != 0;
    return IC_OK;
}

void clock_begin(void)
{
    clock_is_known = false;
}

static void take_time(uint64_t parent_time, uint64_t reference, uint8_t flags)
{
    integration_now.time_samples++;
    if (!(flags & IC_TIME_SYNC_NOW) && clock_is_known)
        return; // a sample would correct a clock that drifts; this one counts the host's own ticks
    clock_offset = parent_time - reference;
    clock_is_known = true;
    integration_now.clock_settings++;
}

uint32_t answer_time(struct ic_question *question)
{
    struct ic_time_reference modern;
    struct ic_time old;

    if (question->header.message.major >= 4 && question->body_bytes >= sizeof(modern)) {
        memcpy(&modern, question->body, sizeof(modern));
        take_time(modern.parent_time, modern.reference_time, modern.flags);
    } else if (question->header.message.major < 4 && question->body_bytes >= sizeof(old)) {
        memcpy(&old, question->body, sizeof(old));
        take_time(old.parent_time, reference_time(), old.flags);
    } else {
        return IC_FAIL;
    }
    return IC_OK;
}

uint64_t integration_clock(void)
{
    return clock_is_known ? reference_time() + clock_offset : 0;
}
