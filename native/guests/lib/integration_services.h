// What the files of the integration services share. A program includes lib/integration.h.
#ifndef GUESTS_INTEGRATION_SERVICES_H
#define GUESTS_INTEGRATION_SERVICES_H
#include "lib/integration.h"
#include "lib/integration_messages.h"

// A question in the guest's own memory; the answer is written over it.
struct ic_question {
    struct ic_header header;
    uint8_t *body;
    uint32_t body_bytes;
};

// Answers `question` by changing its body; the result is the status of the answer.
typedef uint32_t ic_answerer(struct ic_question *question);

uint32_t answer_heartbeat(struct ic_question *question);
uint32_t answer_shutdown(struct ic_question *question);
uint32_t answer_time(struct ic_question *question);
uint32_t answer_pairs(struct ic_question *question);

extern struct integration_state integration_now;
extern const struct integration_choices *integration_chosen;

// The pairs begin as the facts of the program; no clock is known.
void pairs_begin(const struct integration_choices *choices);
void clock_begin(void);

#endif
