// The framework of the integration services: channels, versions, a question and its answer.

#include "lib/integration.h"
#include "lib/integration_services.h"
#include "lib/memory.h"
#include "lib/pipe.h"
#include <stddef.h>

enum {
    RING_PAGES = 4, // no message is longer than 13312 bytes
    MESSAGE_BYTES = 4 * 4096,
    SERVICE_COUNT = 4,
    MOST_VERSIONS = 3,
};

struct service {
    const struct guid *interface;
    uint16_t message_type;
    struct ic_version versions[MOST_VERSIONS]; // the newest first; major 0: none
    ic_answerer *answer;
};

static const struct ic_version FRAMEWORKS[MOST_VERSIONS] = {{3, 0}, {1, 0}};
static const struct service SERVICES[SERVICE_COUNT] = {
    {&INTERFACE_HEARTBEAT, IC_HEARTBEAT, {{3, 0}, {1, 0}}, answer_heartbeat},
    {&INTERFACE_SHUTDOWN, IC_SHUTDOWN, {{3, 0}, {1, 0}}, answer_shutdown},
    {&INTERFACE_TIME_SYNC, IC_TIME_SYNC, {{4, 0}, {3, 0}, {1, 0}}, answer_time},
    {&INTERFACE_KVP, IC_KVP, {{4, 0}, {3, 0}, {1, 0}}, answer_pairs},
};

static _Alignas(4096) uint8_t ring_memory[SERVICE_COUNT][2 * (1 + RING_PAGES) * 4096];
static struct vmbus_channel channels[SERVICE_COUNT];
static bool is_open[SERVICE_COUNT];
static _Alignas(8) uint8_t buffer[MESSAGE_BYTES];

struct integration_state integration_now;
const struct integration_choices *integration_chosen;

const struct integration_state *integration_state(void)
{
    return &integration_now;
}

enum vmbus_outcome integration_open(const struct integration_choices *choices)
{
    integration_now = (struct integration_state){.open_count = 0};
    integration_chosen = choices;
    pairs_begin(choices);
    clock_begin();
    for (uint32_t i = 0; i < SERVICE_COUNT; i++) {
        const struct vmbus_rings rings = {ring_memory[i], RING_PAGES, RING_PAGES};
        const struct vmbus_offer *offer = vmbus_find_offer(SERVICES[i].interface, 0);
        is_open[i] = vmbus_open(&channels[i], offer, rings) == VMBUS_OK;
        integration_now.open_count += is_open[i];
    }
    return integration_now.open_count != 0 ? VMBUS_OK : VMBUS_NO_OFFER;
}

enum vmbus_outcome integration_close(void)
{
    enum vmbus_outcome worst = VMBUS_OK;

    for (uint32_t i = 0; i < SERVICE_COUNT; i++) {
        if (!is_open[i])
            continue;
        vmbus_wait_drained(&channels[i]); // the host has read the last answer
        const enum vmbus_outcome outcome = vmbus_close(&channels[i]);
        is_open[i] = false;
        worst = outcome == VMBUS_OK ? worst : outcome;
    }
    return worst;
}

static bool is_same(struct ic_version left, struct ic_version right)
{
    return left.major == right.major && left.minor == right.minor;
}

// The newest of `ours` that is among the `count` at `theirs`; major 0: none is.
static struct ic_version newest_of(const struct ic_version *ours, const uint8_t *theirs,
                                   uint32_t count)
{
    for (uint32_t i = 0; i < MOST_VERSIONS && ours[i].major != 0; i++) {
        for (uint32_t k = 0; k < count; k++) {
            struct ic_version offered;
            memcpy(&offered, theirs + k * sizeof(offered), sizeof(offered));
            if (is_same(ours[i], offered))
                return ours[i];
        }
    }
    return (struct ic_version){0, 0};
}

// The answer to a list of versions is one of each, or none of either.
static uint32_t negotiate(const struct service *service, struct ic_question *question)
{
    struct ic_negotiate counts;
    struct {
        struct ic_negotiate counts;
        struct ic_version framework, message;
    } chosen = {{1, 1, 0}, {0, 0}, {0, 0}};

    if (question->body_bytes < sizeof(chosen))
        return IC_FAIL;
    memcpy(&counts, question->body, sizeof(counts));
    const uint32_t version_count = counts.framework_count + counts.message_count;
    if (question->body_bytes < sizeof(counts) + version_count * sizeof(struct ic_version))
        return IC_FAIL;
    const uint8_t *frameworks = question->body + sizeof(counts);
    const uint8_t *messages = frameworks + counts.framework_count * sizeof(struct ic_version);
    chosen.framework = newest_of(FRAMEWORKS, frameworks, counts.framework_count);
    chosen.message = newest_of(service->versions, messages, counts.message_count);
    if (chosen.framework.major == 0 || chosen.message.major == 0)
        chosen.counts = (struct ic_negotiate){0, 0, 0};
    else
        integration_now.agreed_count++;
    memcpy(question->body, &chosen, sizeof(chosen));
    return IC_OK;
}

// Whether `message` is a question that is as long as it says.
static bool take_question(uint8_t *message, uint32_t byte_count, struct ic_question *ret)
{
    if (byte_count < sizeof(ret->header))
        return false;
    memcpy(&ret->header, message, sizeof(ret->header));
    ret->body = message + sizeof(ret->header);
    ret->body_bytes = ret->header.body_bytes;
    return (ret->header.flags & IC_REQUEST) && ret->body_bytes <= byte_count - sizeof(ret->header);
}

static void answer(uint32_t index, const struct vmbus_packet *packet)
{
    const struct service *service = &SERVICES[index];
    struct ic_question question;
    uint32_t byte_count;
    uint8_t *message = pipe_message(packet, &byte_count);

    if (!message || !take_question(message, byte_count, &question))
        return;
    question.header.status = IC_FAIL;
    if (question.header.message_type == IC_NEGOTIATE)
        question.header.status = negotiate(service, &question);
    else if (question.header.message_type == service->message_type)
        question.header.status = service->answer(&question);
    question.header.flags = IC_TRANSACTION | IC_RESPONSE;
    memcpy(message, &question.header, sizeof(question.header));
    pipe_send(&channels[index], message, byte_count);
}

uint32_t integration_serve(void)
{
    struct vmbus_packet packet;
    uint32_t answered = 0;

    for (uint32_t i = 0; i < SERVICE_COUNT; i++) {
        while (is_open[i] &&
               vmbus_receive(&channels[i], buffer, sizeof(buffer), &packet) == VMBUS_OK) {
            answer(i, &packet);
            answered++;
        }
    }
    return answered;
}
