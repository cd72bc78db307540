#ifndef MINIHV_TESTS_EXPECT_H
#define MINIHV_TESTS_EXPECT_H
// What a C test of the core needs: expectations that say what they found, and a count for `main`.

#include <inttypes.h>
#include <stdio.h>

static int failures;

static void expect_equal(const char *what, uint64_t actual, uint64_t expected)
{
    if (actual == expected)
        return;
    failures++;
    printf("%s is 0x%" PRIx64 ", not 0x%" PRIx64 "\n", what, actual, expected);
}

static int report(const char *name)
{
    printf("%s: %s\n", name, failures ? "FAILED" : "passed");
    return failures ? 1 : 0;
}

#endif
