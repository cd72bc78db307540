// The entries of a TLB and the banks that hold them. Twin of minihv/paging/tlb_parts.py.
//
// Private to tlb.c and tlb_walk.c. Everything here is inlined into them: a hit is the common case.
#ifndef MINIHV_TLB_PARTS_H
#define MINIHV_TLB_PARTS_H
#include "minihv/tlb.h"
#include "stage.h"

#include <stddef.h>

static inline bool answers(const struct mhv_tlb_entry *entry, uint64_t number, uint32_t partition)
{
    return entry->partition == partition && (entry->is_global || entry->space == number);
}

static inline bool covers(const struct mhv_tlb_entry *entry, uint64_t address)
{
    return address >> entry->shift == entry->page;
}

// In the same page of the *guest*, of which this may be one piece of many.
static inline bool is_of_page(const struct mhv_tlb_entry *entry, uint64_t gva)
{
    return (gva ^ entry->page << entry->shift) >> shift_of(entry->first.level) == 0;
}

// The set of pages with the number `page`: `ways` slots from here on.
static inline struct mhv_tlb_entry *set_of(struct mhv_tlb *tlb, const struct mhv_tlb_bank *bank,
                                           uint64_t page)
{
    return &tlb->entries[bank->begin + (page & (bank->sets - 1)) * bank->ways];
}

static inline struct mhv_tlb_entry *find(struct mhv_tlb *tlb, const struct mhv_tlb_bank *bank,
                                         uint32_t shift, uint64_t address,
                                         const struct mhv_address_space *space)
{
    struct mhv_tlb_entry *slots = set_of(tlb, bank, address >> shift);

    for (uint32_t way = 0; way < bank->ways; way++) {
        struct mhv_tlb_entry *entry = &slots[way];
        if (covers(entry, address) && entry->used &&
            answers(entry, space->number, space->partition))
            return entry;
    }
    return NULL;
}

static inline void touch(struct mhv_tlb_bank *bank, struct mhv_tlb_entry *entry)
{
    entry->used = ++bank->clock;
}

// True when another entry had to give way: the one used longest ago, as no slot was free.
static inline bool insert(struct mhv_tlb *tlb, struct mhv_tlb_bank *bank,
                          const struct mhv_tlb_entry *entry)
{
    if (bank->ways == 0)
        return false;
    struct mhv_tlb_entry *slots = set_of(tlb, bank, entry->page);
    struct mhv_tlb_entry *oldest = slots;

    for (uint32_t way = 1; way < bank->ways; way++)
        if (slots[way].used < oldest->used)
            oldest = &slots[way];
    const bool evicts = oldest->used != 0;
    *oldest = *entry;
    touch(bank, oldest);
    return evicts;
}

static inline void drop_covering(struct mhv_tlb *tlb, const struct mhv_tlb_bank *bank,
                                 uint32_t shift, uint64_t address,
                                 const struct mhv_address_space *space)
{
    struct mhv_tlb_entry *entry;

    while ((entry = find(tlb, bank, shift, address, space)) != NULL)
        entry->used = 0;
}

// A user's rights, as every access by way of the second stage has them: no register changes them.
static inline struct rights user_rights(uint64_t together)
{
    const bool user_page = together & USER;

    return (struct rights){
        .readable = user_page,
        .writable = user_page && together & WRITABLE,
        .executable = user_page && together & NO_EXECUTE,
    };
}

// Whether an access may go on without a look at the tables: it is allowed, and need not set D.
static inline bool usable(const struct mhv_tlb_held *held, struct rights rights, uint8_t kind)
{
    return may(rights, kind) && (kind != MHV_WRITE || held->entry & DIRTY);
}

// One walk: what it is given, where it ended in both stages, and what it read on the way.
struct cached_walk {
    struct mhv_tlb *tlb;
    const struct mhv_ram *ram;
    const struct mhv_address_space *space;
    uint64_t gva;
    struct mhv_access access;
    struct mhv_tlb_held first; // `base` is the address itself, not where the page begins
    struct mhv_tlb_held last;
    uint32_t references;
    bool trusts;  // the nested cache may answer
    bool trusted; // some cache did
};

// False when the walk is refused; then `ret` says by what.
bool mhv_cached_walk(struct cached_walk *walk, struct mhv_walk_result *ret);

#endif
