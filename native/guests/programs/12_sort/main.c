// Sorts the same few pages again and again: a guest whose translations all stay in the TLB.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/expect.h"

enum {
    WORD_COUNT = 2048, // 16 KiB: four pages
    ROUND_COUNT = 60,
};

static uint64_t words[WORD_COUNT];

static void fill_words(uint64_t seed)
{
    uint64_t state = seed;

    for (uint32_t i = 0; i < WORD_COUNT; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        words[i] = state >> 33;
    }
}

// Moves words[parent] down until no child in the first `count` words is larger.
static void sift_down(uint32_t parent, uint32_t count)
{
    const uint64_t moved = words[parent];

    for (uint32_t child = 2 * parent + 1; child < count; child = 2 * parent + 1) {
        if (child + 1 < count && words[child + 1] > words[child])
            child++;
        if (words[child] <= moved)
            break;
        words[parent] = words[child];
        parent = child;
    }
    words[parent] = moved;
}

static void heap_sort(void)
{
    for (uint32_t parent = WORD_COUNT / 2; parent-- > 0;)
        sift_down(parent, WORD_COUNT);
    for (uint32_t last = WORD_COUNT - 1; last > 0; last--) {
        const uint64_t largest = words[0];
        words[0] = words[last];
        words[last] = largest;
        sift_down(0, last);
    }
}

static uint32_t count_ordered(void)
{
    uint32_t ordered_count = 1;

    for (uint32_t i = 1; i < WORD_COUNT; i++)
        ordered_count += words[i - 1] <= words[i];
    return ordered_count;
}

void guest_main(const struct boot_info *info)
{
    uint64_t ordered_count = 0;
    uint64_t digest = 0;

    (void)info;
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        fill_words(round);
        heap_sort();
        ordered_count += count_ordered();
        digest = digest * 31 + words[WORD_COUNT / 2];
    }
    print_decimal(ROUND_COUNT);
    print(" rounds of ");
    print_decimal(WORD_COUNT);
    print(" words\n");
    expect_equal("words in order", ordered_count, (uint64_t)ROUND_COUNT * WORD_COUNT);
    expect_equal("digest of the medians", digest, 0x37e351168ca52153);
}
