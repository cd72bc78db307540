// Harvest of A and D bits from second-level tables. Twin of minihv/paging/dirty.py; read that
// first.
//
// Spec: AMD APM vol. 2, "Nested Paging". Simplified: as the Python twin. The two are held equal by
// tests/twins/test_dirty.py, down to the image in memory.

#include "minihv/dirty.h"
#include "stage.h"

enum { TABLE_BYTES = 4096, ENTRIES_PER_TABLE = 512, LINE_ENTRIES = 8 };
enum { INDEX_BITS = 9, ACCESSED_SHIFT = 5, DIRTY_SHIFT = 6 };

// One harvest on its way.
struct sweep {
    struct mhv_ram ram;
    uint64_t begin, end; // page numbers
    uint64_t mark;
    uint32_t shift; // of the mark's bit
    uint8_t *bitmap;
    uint64_t found;
};

static void report(struct sweep *sweep, uint64_t gpn)
{
    const uint64_t bit = gpn - sweep->begin;

    sweep->bitmap[bit >> 3] |= (uint8_t)(1u << (bit & 7));
    sweep->found++;
}

// A page that is `span` pages of 4 KiB wide.
static void harvest_large(struct sweep *sweep, uint64_t entry_pa, uint64_t first, uint64_t span)
{
    const uint64_t entry = read_u64(sweep->ram, entry_pa);
    const uint64_t from = first > sweep->begin ? first : sweep->begin;
    const uint64_t to = first + span < sweep->end ? first + span : sweep->end;

    if (!(entry & sweep->mark))
        return;
    for (uint64_t gpn = from; gpn < to; gpn++)
        report(sweep, gpn);
    if (to - from == span)
        write_u64(sweep->ram, entry_pa, entry & ~sweep->mark);
}

// Up to eight entries of a lowest table, whose bits make one byte of the bitmap. Without a branch
// for each entry: nothing foretells which of them have the mark.
static void harvest_line(struct sweep *sweep, uint8_t *line, uint64_t first)
{
    const uint64_t left = sweep->end - first;
    const uint64_t asked = left < LINE_ENTRIES ? (UINT64_C(1) << left) - 1 : 0xFF;
    uint64_t entries[LINE_ENTRIES];
    uint32_t bits = 0;

    memcpy(entries, line, sizeof entries);
    for (uint32_t i = 0; i < LINE_ENTRIES; i++) {
        const uint64_t marked = entries[i] & entries[i] >> sweep->shift & asked >> i & PRESENT;
        bits |= (uint32_t)(marked << i);
        entries[i] &= ~(marked << sweep->shift);
    }
    memcpy(line, entries, sizeof entries);
    sweep->bitmap[(first - sweep->begin) / LINE_ENTRIES] = (uint8_t)bits;
    sweep->found += (uint64_t)__builtin_popcount(bits);
}

// Most entries have no mark: eight of them, a line of the cache, are looked at together.
static void harvest_lowest(struct sweep *sweep, uint8_t *table, uint64_t first)
{
    const uint64_t from = first > sweep->begin ? first : sweep->begin;
    const uint64_t last = first + ENTRIES_PER_TABLE;
    const uint64_t to = last < sweep->end ? last : sweep->end;

    for (uint64_t gpn = from; gpn < to; gpn += LINE_ENTRIES) {
        uint8_t *line = table + (gpn - first) * sizeof(uint64_t);
        uint64_t entries[LINE_ENTRIES];
        uint64_t any = 0;

        memcpy(entries, line, sizeof entries);
        for (int i = 0; i < LINE_ENTRIES; i++)
            any |= entries[i];
        if (any & sweep->mark)
            harvest_line(sweep, line, gpn);
    }
}

// The table at `table`, whose first entry is for page `first`. What lies in no memory is no table.
static void harvest_table(struct sweep *sweep, uint32_t level, uint64_t table, uint64_t first)
{
    const uint64_t span = UINT64_C(1) << INDEX_BITS * (level - 1);
    const uint64_t from = first > sweep->begin ? first : sweep->begin;

    if (table + TABLE_BYTES > sweep->ram.byte_count)
        return;
    if (level == 1) {
        harvest_lowest(sweep, sweep->ram.bytes + table, first);
        return;
    }
    for (uint64_t i = (from - first) / span; i < ENTRIES_PER_TABLE; i++) {
        const uint64_t entry_pa = table + i * sizeof(uint64_t);
        const uint64_t entry = read_u64(sweep->ram, entry_pa);

        if (first + i * span >= sweep->end)
            return;
        if (!(entry & PRESENT))
            continue;
        if (level <= 3 && entry & LARGE)
            harvest_large(sweep, entry_pa, first + i * span, span);
        else
            harvest_table(sweep, level - 1, entry & FRAME, first + i * span);
    }
}

static uint32_t levels_asked(const struct mhv_harvest *asked)
{
    return asked->levels == 5 ? 5 : 4;
}

enum mhv_status mhv_harvest_check(const struct mhv_harvest *asked)
{
    const uint64_t reach = UINT64_C(1) << INDEX_BITS * levels_asked(asked);

    if (asked->mark != ACCESSED && asked->mark != DIRTY)
        return MHV_BAD_FLAGS;
    if (asked->gpn % LINE_ENTRIES != 0)
        return MHV_MISALIGNED;
    if (asked->gpn > reach || asked->page_count > reach - asked->gpn)
        return MHV_OUT_OF_REACH;
    return MHV_OK;
}

enum mhv_status mhv_harvest_marks(const struct mhv_ram *ram, const struct mhv_harvest *asked,
                                  uint8_t *bitmap, uint64_t *ret)
{
    const enum mhv_status status = mhv_harvest_check(asked);
    struct sweep sweep = {
        .ram = *ram,
        .begin = asked->gpn,
        .end = asked->gpn + asked->page_count,
        .mark = asked->mark,
        .shift = asked->mark == DIRTY ? DIRTY_SHIFT : ACCESSED_SHIFT,
        .bitmap = bitmap,
    };

    if (status != MHV_OK)
        return status;
    harvest_table(&sweep, levels_asked(asked), asked->root & FRAME, 0);
    *ret = sweep.found;
    return MHV_OK;
}

bool mhv_mark_page(const struct mhv_ram *ram, uint64_t root, uint32_t levels, uint64_t gpn,
                   uint64_t mark)
{
    uint64_t table = root & FRAME;

    if (gpn >> INDEX_BITS * levels != 0)
        return false;
    for (uint32_t level = levels; level > 0; level--) {
        const uint64_t index = gpn >> INDEX_BITS * (level - 1) & (ENTRIES_PER_TABLE - 1);
        const uint64_t entry_pa = table + index * sizeof(uint64_t);

        if (table + TABLE_BYTES > ram->byte_count)
            return false;
        const uint64_t entry = read_u64(*ram, entry_pa);
        if (!(entry & PRESENT))
            return false;
        if (level == 1 || (level <= 3 && entry & LARGE)) {
            write_u64(*ram, entry_pa, entry | mark);
            return true;
        }
        table = entry & FRAME;
    }
    return false;
}
