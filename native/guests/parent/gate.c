// Calls through the service gate.

#include "parent/gate.h"

uint64_t gate(enum gate_code code, const void *argument, uint64_t byte_count)
{
    register uint64_t third __asm__("r8") = byte_count;
    uint64_t answer;

    __asm__ volatile("vmmcall"
                     : "=a"(answer)
                     : "c"(GATE_MAGIC | code), "d"(argument), "r"(third)
                     : "memory");
    return answer;
}

void gate_log(const char *text)
{
    uint64_t byte_count = 0;

    while (text[byte_count] != '\0')
        byte_count++;
    gate(GATE_LOG, text, byte_count);
}
