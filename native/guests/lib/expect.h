// Expectations: what a program checks, each one line of the console.
#ifndef GUESTS_EXPECT_H
#define GUESTS_EXPECT_H
#include <stdbool.h>
#include <stdint.h>

// Prints `name` and `actual`, and whether it is what was expected.
bool expect_equal(const char *name, uint64_t actual, uint64_t expected);

// The same for what is either so or not; no number is printed.
bool expect_true(const char *name, bool actual);

// One line is begun as "ok" or "FAILED"; the caller prints the rest of it. VP 0 only.
bool expect_begin(const char *name, bool holds);

// Prints how many expectations held, if there were any, and shuts the partition down: status 0 if
// all did, else 1.
_Noreturn void finish(void);

#endif
