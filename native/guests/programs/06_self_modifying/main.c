// Rewrites code it runs: in place, ahead of itself, and through a second address of the same frame.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"
#include "lib/memory.h"
#include "lib/page_table.h"

enum { ROUND_COUNT = 1000 };

typedef uint32_t code(void);

// code.S, in a page of its own
code answer, count_itself;
uint32_t patch_ahead(uint32_t value);
extern volatile uint32_t answer_value, own_counter;

static const uint64_t ALIAS = 0x4000000000;
static const uint64_t EXECUTED = 0x4000200000;

static uint32_t wrong_count;

// From here on the processor fetches what was written before, under whatever address.
static void serialize(void)
{
    write_cr2(0);
}

static void check(uint32_t actual, uint32_t expected)
{
    wrong_count += actual != expected;
}

static void report(const char *name)
{
    expect_equal(name, wrong_count, 0);
    wrong_count = 0;
}

static void in_place(void)
{
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        answer_value = round * 3;
        check(answer(), round * 3);
    }
    report("code rewritten in place: wrong answers");
    for (uint32_t round = 0; round < ROUND_COUNT; round++)
        check(patch_ahead(round ^ 0x5A5A), round ^ 0x5A5A);
    report("an instruction rewritten just before it runs: wrong answers");
}

static void data_among_code(void)
{
    for (uint32_t round = 1; round <= ROUND_COUNT; round++)
        check(count_itself(), round);
    report("code that counts in its own page: wrong counts");
    expect_equal("its counter", own_counter, ROUND_COUNT);
}

static void through_an_alias(const struct boot_info *info)
{
    struct page_tables tables = {info->root_table, info->paging_levels, info->image_end};
    const uint64_t page = (uint64_t)answer & PAGE_FRAME;
    volatile uint32_t *alias_value =
        (volatile uint32_t *)(ALIAS + ((uint64_t)&answer_value - page));
    code *const alias = (code *)(ALIAS + ((uint64_t)answer - page));

    map_page(&tables, ALIAS, page, PAGE_4K, PAGE_WRITABLE);
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        *alias_value = round + 7;
        serialize();
        check(answer(), round + 7);
    }
    report("written through a second address: wrong answers");
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        answer_value = round + 9;
        serialize();
        check(round % 2 != 0 ? alias() : answer(), round + 9);
    }
    report("executed through both addresses: wrong answers");
}

// Writable pages that cannot be executed beside executable ones that cannot be written: how a
// just-in-time compiler lives with W^X.
static void write_xor_execute(const struct boot_info *info)
{
    struct page_tables tables = {info->root_table, info->paging_levels, info->image_end};
    tables.next_frame += UINT64_C(8) << 12; // behind the tables of the alias
    const uint64_t frame = page_tables_frame(&tables);
    static const uint8_t template[6] = {0xB8, 0, 0, 0, 0, 0xC3}; // MOV EAX, imm32; RET

    map_page(&tables, EXECUTED, frame, PAGE_4K, 0);
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        uint8_t *place = (uint8_t *)frame + round % 64 * 64;
        memcpy(place, template, sizeof(template));
        memcpy(place + 1, &round, sizeof(round));
        serialize();
        check(((code *)(EXECUTED + round % 64 * 64))(), round);
    }
    report("compiled into a page and run from another: wrong answers");
}

void guest_main(const struct boot_info *info)
{
    in_place();
    data_among_code();
    through_an_alias(info);
    write_xor_execute(info);
}
