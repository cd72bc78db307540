// The builder of page tables. Twin of minihv/paging/tables.py; read that first.
//
// Spec: AMD APM vol. 2, "Long-Mode Page Translation". Simplified: as the Python twin. The two are
// held equal by tests/twins/test_tables.py, down to the image in memory.

#include "minihv/tables.h"
#include "stage.h"

enum { PAGE_BYTES = 4096, ENTRY_BYTES = 8, ENTRIES_PER_TABLE = 512 };
enum { IN_TABLE_ENTRY = PRESENT | WRITABLE | USER, MARKS = ACCESSED | DIRTY };
static const uint64_t FLAGS = ~(UINT64_C(0x000FFFFFFFFFF000) | PRESENT | LARGE);

// The entries on the way to an address, from the root (index `levels`) down to index `level`.
struct way {
    uint64_t entry_pa[6];
    uint64_t entry[6];
    uint32_t level;
};

static uint64_t bytes_of(uint32_t level)
{
    return UINT64_C(1) << shift_of(level);
}

static uint64_t entry_at(uint32_t level, uint64_t table, uint64_t va)
{
    return table + (va >> shift_of(level) & 0x1FF) * ENTRY_BYTES;
}

static bool names_page(uint32_t level, uint64_t entry)
{
    return entry & PRESENT && (level == 1 || (level <= 3 && entry & LARGE));
}

static uint64_t page_of(uint32_t level, uint64_t entry)
{
    return entry & FRAME & ~(bytes_of(level) - 1);
}

static uint64_t page_entry(uint32_t level, uint64_t pa, uint64_t flags)
{
    return pa | flags | PRESENT | (level > 1 ? LARGE : 0);
}

static bool translates(const struct mhv_tables *tables, uint64_t va)
{
    if (tables->sign_extended)
        return is_canonical(va, tables->levels);
    return va >> shift_of(tables->levels + 1u) == 0;
}

static void fill_zero(const struct mhv_tables *tables, uint64_t table)
{
    for (uint64_t i = 0; i < ENTRIES_PER_TABLE; i++)
        write_u64(tables->ram, table + ENTRY_BYTES * i, 0);
}

// Down to `to_level`, or to a page or a hole above it.
static struct way descend(const struct mhv_tables *tables, uint64_t va, uint32_t to_level)
{
    struct way way = {.level = tables->levels};
    uint64_t table = tables->root;

    for (;; way.level--) {
        const uint64_t entry_pa = entry_at(way.level, table, va);
        const uint64_t entry = read_u64(tables->ram, entry_pa);

        way.entry_pa[way.level] = entry_pa;
        way.entry[way.level] = entry;
        if (way.level == to_level || !(entry & PRESENT) || names_page(way.level, entry))
            return way;
        table = entry & FRAME;
    }
}

// `count` frames, or none at all.
static bool take(struct mhv_tables *tables, uint32_t count, uint64_t *ret)
{
    if (tables->pool.count < count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        ret[i] = tables->pool.frames[--tables->pool.count];
    return true;
}

static void give(struct mhv_tables *tables, uint64_t frame)
{
    tables->pool.frames[tables->pool.count++] = frame;
}

enum mhv_status mhv_tables_begin(struct mhv_tables *tables)
{
    uint64_t root;

    if (!take(tables, 1, &root))
        return MHV_NO_FRAMES;
    fill_zero(tables, root);
    tables->root = root;
    return MHV_OK;
}

enum mhv_status mhv_tables_find(const struct mhv_tables *tables, uint64_t va,
                                struct mhv_table_leaf *ret)
{
    if (!translates(tables, va))
        return MHV_NOT_MAPPED;
    const struct way way = descend(tables, va, 1);
    const uint64_t entry = way.entry[way.level];
    if (!names_page(way.level, entry))
        return MHV_NOT_MAPPED;
    *ret = (struct mhv_table_leaf){
        .va = va & ~(bytes_of(way.level) - 1),
        .pa = page_of(way.level, entry),
        .page_bytes = bytes_of(way.level),
        .entry = entry,
        .entry_pa = way.entry_pa[way.level],
    };
    return MHV_OK;
}

static uint32_t level_of(uint64_t page_bytes)
{
    for (uint32_t level = 3; level > 0; level--)
        if (bytes_of(level) == page_bytes)
            return level;
    return 0;
}

static enum mhv_status check_page(const struct mhv_tables *tables, uint64_t va, uint64_t pa,
                                  uint64_t page_bytes, uint64_t flags)
{
    if (level_of(page_bytes) == 0)
        return MHV_NO_SUCH_PAGE;
    if ((va | pa) & (page_bytes - 1))
        return MHV_MISALIGNED;
    if (!translates(tables, va) || pa & ~FRAME)
        return MHV_OUT_OF_REACH;
    return flags & ~FLAGS ? MHV_BAD_FLAGS : MHV_OK;
}

enum mhv_status mhv_tables_map(struct mhv_tables *tables, uint64_t va, uint64_t pa,
                               uint64_t page_bytes, uint64_t flags)
{
    const enum mhv_status status = check_page(tables, va, pa, page_bytes, flags);
    const uint32_t level = level_of(page_bytes);
    uint64_t frames[4];

    if (status != MHV_OK)
        return status;
    const struct way way = descend(tables, va, level);
    if (way.entry[way.level] & PRESENT)
        return MHV_ALREADY_MAPPED;
    const uint32_t missing = way.level - level;
    if (!take(tables, missing, frames))
        return MHV_NO_FRAMES;
    uint64_t entry_pa = way.entry_pa[way.level];
    for (uint32_t i = 0; i < missing; i++) {
        fill_zero(tables, frames[i]);
        write_u64(tables->ram, entry_pa, frames[i] | IN_TABLE_ENTRY);
        entry_pa = entry_at(way.level - 1 - i, frames[i], va);
    }
    write_u64(tables->ram, entry_pa, page_entry(level, pa, flags));
    return MHV_OK;
}

// Whether a range ends at `edge` inside the page that `inside` lies in.
static bool cuts_page(const struct mhv_tables *tables, uint64_t edge, uint64_t inside)
{
    struct mhv_table_leaf page;

    return mhv_tables_find(tables, inside, &page) == MHV_OK && edge & (page.page_bytes - 1);
}

static enum mhv_status check_range(const struct mhv_tables *tables, uint64_t va,
                                   uint64_t byte_count)
{
    const uint64_t last = va + byte_count - 1;
    const uint32_t sign_bit = shift_of(tables->levels + 1u) - 1;

    if ((va | byte_count) & (PAGE_BYTES - 1))
        return MHV_MISALIGNED;
    if (byte_count == 0)
        return MHV_OK;
    if (last < va || (tables->sign_extended && (va ^ last) >> sign_bit) ||
        !translates(tables, va) || !translates(tables, last))
        return MHV_OUT_OF_REACH;
    if (cuts_page(tables, va, va) || cuts_page(tables, last + 1, last))
        return MHV_WOULD_SPLIT;
    return MHV_OK;
}

// The part of the page or hole at the end of `way` that lies in a range of `left` bytes from `va`.
static uint64_t part_of(const struct way *way, uint64_t va, uint64_t left)
{
    const uint64_t rest = bytes_of(way->level) - (va & (bytes_of(way->level) - 1));

    return rest < left ? rest : left;
}

// Frees the tables on `way` in which nothing is left, from the lowest up; never the root.
static void prune(struct mhv_tables *tables, const struct way *way)
{
    for (uint32_t upper = way->level + 1; upper <= tables->levels; upper++) {
        const uint64_t table = way->entry[upper] & FRAME;

        for (uint64_t i = 0; i < ENTRIES_PER_TABLE; i++)
            if (read_u64(tables->ram, table + ENTRY_BYTES * i) & PRESENT)
                return;
        write_u64(tables->ram, way->entry_pa[upper], 0);
        give(tables, table);
    }
}

enum mhv_status mhv_tables_unmap(struct mhv_tables *tables, uint64_t va, uint64_t byte_count,
                                 uint64_t *ret)
{
    const enum mhv_status status = check_range(tables, va, byte_count);
    uint64_t unmapped = 0;

    if (status != MHV_OK)
        return status;
    while (byte_count) {
        const struct way way = descend(tables, va, 1);
        const uint64_t size = part_of(&way, va, byte_count);

        if (names_page(way.level, way.entry[way.level])) {
            write_u64(tables->ram, way.entry_pa[way.level], 0);
            unmapped += bytes_of(way.level);
        }
        va += size;
        byte_count -= size;
        if (byte_count == 0 || (va & (bytes_of(way.level + 1) - 1)) == 0)
            prune(tables, &way);
    }
    *ret = unmapped;
    return MHV_OK;
}

enum mhv_status mhv_tables_protect(struct mhv_tables *tables, uint64_t va, uint64_t byte_count,
                                   uint64_t flags, uint64_t *ret)
{
    const enum mhv_status status =
        flags & ~FLAGS ? MHV_BAD_FLAGS : check_range(tables, va, byte_count);
    uint64_t changed = 0;

    if (status != MHV_OK)
        return status;
    while (byte_count) {
        const struct way way = descend(tables, va, 1);
        const uint64_t size = part_of(&way, va, byte_count);
        const uint64_t entry = way.entry[way.level];

        if (names_page(way.level, entry)) {
            const uint64_t pa = page_of(way.level, entry);
            write_u64(tables->ram, way.entry_pa[way.level],
                      page_entry(way.level, pa, flags | (entry & MARKS)));
            changed += bytes_of(way.level);
        }
        va += size;
        byte_count -= size;
    }
    *ret = changed;
    return MHV_OK;
}

enum mhv_status mhv_tables_split(struct mhv_tables *tables, uint64_t va)
{
    uint64_t table;

    if (!translates(tables, va))
        return MHV_OUT_OF_REACH;
    const struct way way = descend(tables, va, 1);
    const uint64_t entry = way.entry[way.level];
    if (!names_page(way.level, entry))
        return MHV_NOT_MAPPED;
    if (way.level == 1)
        return MHV_NO_SUCH_PAGE;
    if (!take(tables, 1, &table))
        return MHV_NO_FRAMES;
    for (uint64_t i = 0; i < ENTRIES_PER_TABLE; i++) {
        const uint64_t pa = page_of(way.level, entry) + i * bytes_of(way.level - 1);
        write_u64(tables->ram, table + ENTRY_BYTES * i,
                  page_entry(way.level - 1, pa, entry & FLAGS));
    }
    write_u64(tables->ram, way.entry_pa[way.level], table | IN_TABLE_ENTRY);
    return MHV_OK;
}

enum mhv_status mhv_tables_merge(struct mhv_tables *tables, uint64_t va)
{
    if (!translates(tables, va))
        return MHV_OUT_OF_REACH;
    const struct way way = descend(tables, va, 1);
    if (!names_page(way.level, way.entry[way.level]))
        return MHV_NOT_MAPPED;
    const uint32_t upper = way.level + 1;
    if (upper > 3)
        return MHV_NO_SUCH_PAGE;
    const uint64_t table = way.entry[upper] & FRAME;
    const uint64_t first = read_u64(tables->ram, table) & ~(uint64_t)MARKS;
    uint64_t marks = 0;
    bool in_a_row = true;
    for (uint64_t i = 0; i < ENTRIES_PER_TABLE; i++) {
        const uint64_t entry = read_u64(tables->ram, table + ENTRY_BYTES * i);
        in_a_row = in_a_row && (entry & ~(uint64_t)MARKS) == first + i * bytes_of(way.level);
        marks |= entry & MARKS;
    }
    if (!in_a_row || first & FRAME & (bytes_of(upper) - 1))
        return MHV_NOT_UNIFORM;
    write_u64(tables->ram, way.entry_pa[upper],
              page_entry(upper, first & FRAME, (first & FLAGS) | marks));
    give(tables, table);
    return MHV_OK;
}
