// Computes, and asks for nothing: primes by a sieve, and the SHA-256 of a buffer.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/expect.h"
#include "lib/memory.h"
#include "sha256.h"

enum {
    SIEVE_LIMIT = 1000000,
    PRIMES_BELOW_LIMIT = 78498,
    BUFFER_BYTES = 256 * 1024,
};

static uint8_t composite[SIEVE_LIMIT];
static uint8_t buffer[BUFFER_BYTES];

static uint32_t count_primes(void)
{
    uint32_t prime_count = 0;

    for (uint32_t n = 2; n < SIEVE_LIMIT; n++) {
        if (composite[n])
            continue;
        prime_count++;
        for (uint64_t multiple = (uint64_t)n * n; multiple < SIEVE_LIMIT; multiple += n)
            composite[multiple] = 1;
    }
    return prime_count;
}

// A linear congruential generator modulo 2^32; the top byte of each state.
static void fill_buffer(void)
{
    uint32_t state = 1;

    for (uint32_t i = 0; i < BUFFER_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        buffer[i] = (uint8_t)(state >> 24);
    }
}

static void print_digest(const uint8_t digest[SHA256_BYTES])
{
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        const char digits[3] = {"0123456789abcdef"[digest[i] >> 4],
                                "0123456789abcdef"[digest[i] & 15], 0};
        print(digits);
    }
}

void guest_main(const struct boot_info *info)
{
    static const uint8_t expected[SHA256_BYTES] = {0x63, 0xf2, 0xb5, 0x19, 0xd3, 0x4a, 0xf5, 0x9c,
                                                   0x7d, 0x76, 0xf7, 0xbe, 0x9b, 0x75, 0x68, 0x7a,
                                                   0x41, 0x53, 0x16, 0xf7, 0x87, 0xf5, 0x93, 0x02,
                                                   0x86, 0x08, 0x4e, 0x2a, 0x35, 0xe9, 0xb1, 0x64};
    uint8_t digest[SHA256_BYTES];

    (void)info;
    expect_equal("primes below a million", count_primes(), PRIMES_BELOW_LIMIT);
    fill_buffer();
    sha256(buffer, BUFFER_BYTES, digest);
    print("SHA-256 of 256 KiB: ");
    print_digest(digest);
    print("\n");
    expect_true("it is the right one", memcmp(digest, expected, sizeof(digest)) == 0);
}
