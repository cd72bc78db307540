// Keeps machine code that would kill the engine from its translator.

#include "minihv/guard.h"

#include "minihv/decode.h"

bool mhv_guard_forbids(const uint8_t *bytes, uint32_t byte_count)
{
    struct mhv_instruction instruction;
    mhv_decode(bytes, byte_count, true, &instruction);
    if (!instruction.length || !instruction.lock || instruction.map != MHV_MAP_0F ||
        instruction.modrm < 0xC0)
        return false;
    if (instruction.opcode == 0xBA)
        return true;
    return (instruction.opcode & 0xE7) == 0xA3;
}

bool mhv_guard_suspects(const uint8_t *page, uint32_t byte_count)
{
    for (uint32_t i = 0; i < byte_count; i++)
        if (page[i] == 0xF0 && mhv_guard_forbids(page + i, byte_count - i))
            return true;
    return false;
}
