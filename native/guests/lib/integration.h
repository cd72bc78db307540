// Integration services: the guest answers the host's heartbeat, its wish that the guest shut down,
// its clock, and its questions about the guest.
//
// The host asks and the guest answers, on one channel for each service. A guest opens them once and
// then calls integration_serve whenever something may have come:
//
//     integration_open(&choices);
//     for (;;) {
//         integration_serve(); // first: the host may have asked while the channels were opened
//         if (integration_state()->is_to_shut_down)
//             break;
//         vmbus_idle();
//     }
//     integration_close();
//     shutdown(0);
//
// Layouts: lib/integration_messages.h.
#ifndef GUESTS_INTEGRATION_H
#define GUESTS_INTEGRATION_H
#include "lib/vmbus.h"

// One fact that the guest tells of itself; plain ASCII, at most 255 and 1023 characters.
struct integration_fact {
    const char *key;
    const char *value;
};

enum { INTEGRATION_MOST_PAIRS = 24 }; // facts, and pairs that the host has set

// What the program decides.
struct integration_choices {
    bool refuses_shutdown;
    const struct integration_fact *facts;
    uint32_t fact_count;
};

// What has happened so far.
struct integration_state {
    uint32_t open_count;     // services that are there
    uint32_t agreed_count;   // those whose versions are agreed on
    uint64_t heartbeats;     // answered
    uint64_t time_samples;   // taken, the first that sets the clock included
    uint64_t clock_settings; // how often the host had the clock set
    uint64_t pair_questions; // about pairs: get, set, delete, enumerate
    bool is_to_shut_down;    // the host asked, and the guest said yes
    bool is_to_restart;      // that it should come back
};

// Opens those of the four services that the host offers. VMBUS_NO_OFFER: it offers none.
enum vmbus_outcome integration_open(const struct integration_choices *choices);

// Answers every question that is there, without waiting. Returns how many there were.
uint32_t integration_serve(void);

const struct integration_state *integration_state(void);

// The host's clock now: 100 ns since 1601-01-01 UTC. 0 as long as the host has not told it.
uint64_t integration_clock(void);

// The value that the host set for `key`, at most `capacity` - 1 characters and a zero.
bool integration_value(const char *key, char *ret, uint32_t capacity);

// Closes the channels once the host has read the last answers.
enum vmbus_outcome integration_close(void);

#endif
