// One stage of translation, in steps. Twin of `follow` in minihv/paging/walk.py; read that first.
//
// Private to walk.c and nested.c, which differ in how they reach the next table, and to tables.c,
// which writes what they read. Everything here is inlined into them: this is the path of every TLB
// miss.
#ifndef MINIHV_STAGE_H
#define MINIHV_STAGE_H
#include "minihv/walk.h"

#include <string.h>

enum {
    PRESENT = 0x01,
    WRITABLE = 0x02,
    USER = 0x04,
    ACCESSED = 0x20,
    DIRTY = 0x40,
    LARGE = 0x80,
};
static const uint64_t NO_EXECUTE = UINT64_C(1) << 63;
static const uint64_t FRAME = UINT64_C(0x000FFFFFFFFFF000);
static const uint64_t LARGE_PAT = UINT64_C(1) << 12;

enum {
    PF_PRESENT = 0x01,
    PF_WRITE = 0x02,
    PF_USER = 0x04,
    PF_RESERVED = 0x08,
    PF_FETCH = 0x10,
};

enum step { DOWN, LEAF, FAULT };

// Where one stage of a walk is.
struct stage {
    uint64_t table;    // address of the table to look into
    uint64_t rights;   // AND of all entries so far, with bit 63 turned into "execute"
    uint64_t reserved; // bits that must be 0 in every entry
    uint64_t entry;    // the last entry read
    uint32_t level;    // of `table`
    uint32_t refusal;  // PF_PRESENT and PF_RESERVED as the failing entry asks for them
};

// What an accessor may do with a page.
struct rights {
    bool readable;
    bool writable;
    bool executable;
};

static inline uint64_t read_u64(struct mhv_ram ram, uint64_t address)
{
    uint64_t value = UINT64_MAX;

    if (address < ram.byte_count)
        memcpy(&value, ram.bytes + address, sizeof value);
    return value;
}

static inline void write_u64(struct mhv_ram ram, uint64_t address, uint64_t value)
{
    if (address < ram.byte_count)
        memcpy(ram.bytes + address, &value, sizeof value);
}

// Five or four: nothing else reaches the arithmetic below.
static inline uint32_t levels_of(const struct mhv_paging *paging)
{
    return paging->levels == 5 ? 5 : 4;
}

static inline void stage_begin(struct stage *stage, const struct mhv_paging *paging)
{
    const uint64_t too_wide = FRAME & UINT64_MAX << paging->physical_bits;

    stage->table = paging->root & FRAME;
    stage->rights = WRITABLE | USER | NO_EXECUTE;
    stage->reserved = too_wide | (paging->nxe ? 0 : NO_EXECUTE);
    stage->entry = 0;
    stage->level = levels_of(paging);
    stage->refusal = 0;
}

static inline uint32_t shift_of(uint32_t level)
{
    return 3 + 9 * level;
}

static inline uint64_t entry_address(const struct stage *stage, uint64_t address)
{
    return stage->table + (address >> shift_of(stage->level) & 0x1FF) * 8;
}

// Steps 4 to 6 for an entry that is not simply a used table: in the order of the twin.
static inline enum step judge_entry(struct mhv_ram ram, struct stage *stage, uint64_t entry_pa)
{
    const uint64_t entry = stage->entry;
    const bool large = stage->level > 1 && entry & LARGE;
    uint64_t reserved = stage->reserved;

    if (!(entry & PRESENT)) {
        stage->refusal = 0;
        return FAULT;
    }
    if (large && stage->level > 3)
        reserved |= LARGE;
    else if (large)
        reserved |= ((UINT64_C(1) << shift_of(stage->level)) - 1) & FRAME & ~LARGE_PAT;
    if (entry & reserved) {
        stage->refusal = PF_PRESENT | PF_RESERVED;
        return FAULT;
    }
    stage->rights &= entry ^ NO_EXECUTE;
    if (large || stage->level == 1)
        return LEAF;
    write_u64(ram, entry_pa, entry | ACCESSED);
    stage->table = entry & FRAME;
    stage->level--;
    return DOWN;
}

// Takes the entry at `entry_pa`: steps 3 to 6 of the twin.
static inline enum step stage_step(struct mhv_ram ram, struct stage *stage, uint64_t entry_pa)
{
    const uint64_t entry = read_u64(ram, entry_pa);
    const uint64_t decisive = stage->reserved | PRESENT | ACCESSED | LARGE;

    stage->entry = entry;
    if (stage->level == 1 || (entry & decisive) != (PRESENT | ACCESSED))
        return judge_entry(ram, stage, entry_pa);
    stage->rights &= entry ^ NO_EXECUTE; // a table that has been used before: most entries are
    stage->table = entry & FRAME;
    stage->level--;
    return DOWN;
}

static inline bool acts_as_user(struct mhv_access access)
{
    return access.user && !access.implicit;
}

// Step 7: what the accessor may do with a page of these rights.
static inline struct rights rights_of(const struct mhv_paging *paging, uint64_t rights,
                                      struct mhv_access access)
{
    const bool user_page = rights & USER;
    const bool user = acts_as_user(access);
    const bool through_smap = access.ac && !access.implicit;
    const bool data = user ? user_page : !(paging->smap && user_page && !through_smap);
    const bool fetch = user ? user_page : !(paging->smep && user_page);

    return (struct rights){
        .readable = data,
        .writable = data && (rights & WRITABLE || (!user && !paging->wp)),
        .executable = fetch && rights & NO_EXECUTE,
    };
}

static inline bool may(struct rights rights, uint8_t kind)
{
    return kind == MHV_EXECUTE ? rights.executable
                               : (kind == MHV_WRITE ? rights.writable : rights.readable);
}

// Step 8: A, and D for a write, in the leaf.
static inline void mark_leaf(struct mhv_ram ram, struct stage *stage, uint64_t entry_pa,
                             uint8_t kind)
{
    const uint64_t marked = stage->entry | ACCESSED | (kind == MHV_WRITE ? DIRTY : 0);

    if (marked != stage->entry)
        write_u64(ram, entry_pa, marked);
    stage->entry = marked;
}

// Step 9: where `address` lies in the page that the leaf describes.
static inline uint64_t leaf_target(const struct stage *stage, uint64_t address)
{
    const uint64_t offset_mask = (UINT64_C(1) << shift_of(stage->level)) - 1;

    return (stage->entry & FRAME & ~offset_mask) | (address & offset_mask);
}

static inline uint64_t leaf_bytes(const struct stage *stage)
{
    return UINT64_C(1) << shift_of(stage->level);
}

// Step 1: bits above the reach of the tables repeat its highest bit.
static inline bool is_canonical(uint64_t gva, uint32_t levels)
{
    const uint64_t sign = UINT64_C(1) << (11 + 9 * levels);

    return ((gva & (2 * sign - 1)) ^ sign) - sign == gva;
}

static inline uint32_t fault_code(const struct mhv_paging *paging, struct mhv_access access,
                                  uint32_t refusal)
{
    const bool tells_fetch = paging->nxe || paging->smep;

    return refusal | (access.kind == MHV_WRITE ? PF_WRITE : 0) |
           (acts_as_user(access) ? PF_USER : 0) |
           (access.kind == MHV_EXECUTE && tells_fetch ? PF_FETCH : 0);
}

#endif
