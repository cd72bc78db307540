// Counts expectations, and reports each through the console.

#include "lib/expect.h"
#include "lib/console.h"
#include "lib/cpu.h"

static uint32_t held_count;
static uint32_t failed_count;

bool expect_begin(const char *name, bool holds)
{
    *(holds ? &held_count : &failed_count) += 1;
    print(holds ? "ok      " : "FAILED  ");
    print(name);
    return holds;
}

bool expect_equal(const char *name, uint64_t actual, uint64_t expected)
{
    const bool holds = expect_begin(name, actual == expected);

    print(" = ");
    print_hex(actual);
    if (!holds) {
        print(", expected ");
        print_hex(expected);
    }
    print("\n");
    return holds;
}

bool expect_true(const char *name, bool actual)
{
    expect_begin(name, actual);
    print("\n");
    return actual;
}

_Noreturn void finish(void)
{
    if (held_count + failed_count != 0) {
        print_decimal(held_count);
        print(" held, ");
        print_decimal(failed_count);
        print(" failed\n");
    }
    console_flush();
    shutdown(failed_count != 0);
}
