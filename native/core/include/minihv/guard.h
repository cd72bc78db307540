#ifndef MINIHV_GUARD_H
#define MINIHV_GUARD_H
#include <stdbool.h>
#include <stdint.h>

// True when the instruction at `bytes` must not reach the engine's translator, which would take the
// process down with it. The hardware raises #UD for each of these. `byte_count` bytes may be read;
// bytes that end before the instruction does are not forbidden.
bool mhv_guard_forbids(const uint8_t *bytes, uint32_t byte_count);

// True when code that starts at any byte of `page` (4096 bytes at most) could overflow the
// translator, or holds a forbidden instruction. Such a page must be executed one instruction per
// block, each asked about with mhv_guard_forbids. False is a promise; true may be excessive
// caution.
bool mhv_guard_suspects(const uint8_t *page, uint32_t byte_count);

#endif
