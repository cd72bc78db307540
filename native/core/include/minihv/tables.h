#ifndef MINIHV_TABLES_H
#define MINIHV_TABLES_H
#include "minihv/status.h"
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// Frames for tables: the last one given back is the first to be handed out. `frames` belongs to the
// caller and has room for every frame that was ever handed out or lies in a table given to us.
struct mhv_frame_pool {
    uint64_t *frames;
    uint64_t count;
};

// The tables under one root.
struct mhv_tables {
    struct mhv_ram ram;
    struct mhv_frame_pool pool;
    uint64_t root;
    uint8_t levels;     // 4 or 5
    bool sign_extended; // they translate virtual addresses; else physical ones
};

// A page as the tables have it.
struct mhv_table_leaf {
    uint64_t va;
    uint64_t pa;
    uint64_t page_bytes;
    uint64_t entry;
    uint64_t entry_pa;
};

// Takes a frame for an empty root.
enum mhv_status mhv_tables_begin(struct mhv_tables *tables);

// The page that `va` lies in, or MHV_NOT_MAPPED.
enum mhv_status mhv_tables_find(const struct mhv_tables *tables, uint64_t va,
                                struct mhv_table_leaf *ret);

// Maps one page of `page_bytes`; tables on the way are made as needed.
enum mhv_status mhv_tables_map(struct mhv_tables *tables, uint64_t va, uint64_t pa,
                               uint64_t page_bytes, uint64_t flags);

// Unmaps every page of a range, which may have holes; tables left empty are freed. `ret`: bytes.
enum mhv_status mhv_tables_unmap(struct mhv_tables *tables, uint64_t va, uint64_t byte_count,
                                 uint64_t *ret);

// Gives every page of a range, which may have holes, new flags. A and D stay. `ret`: bytes.
enum mhv_status mhv_tables_protect(struct mhv_tables *tables, uint64_t va, uint64_t byte_count,
                                   uint64_t flags, uint64_t *ret);

// Replaces a large page by a table of 512 smaller ones, with its flags and marks.
enum mhv_status mhv_tables_split(struct mhv_tables *tables, uint64_t va);

// Replaces the table around `va` by one large page, marked as any of its 512 pages was.
enum mhv_status mhv_tables_merge(struct mhv_tables *tables, uint64_t va);

#endif
