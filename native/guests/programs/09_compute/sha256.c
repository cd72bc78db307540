// SHA-256, written from the standard.
//
// Spec: FIPS 180-4, "SHA-256". The constants are computed: the first 32 bits of the fractional
// parts of the cube roots and square roots of the first primes.

#include "sha256.h"

enum { BLOCK_BYTES = 64, ROUND_COUNT = 64 };

typedef unsigned __int128 wide;

static uint32_t rotate(uint32_t value, uint32_t count)
{
    return value >> count | value << (32 - count);
}

// floor(2^32 * frac(prime ^ (1/power))): the largest x with x^power <= prime * 2^(32 * power).
static uint32_t root_fraction(uint64_t prime, uint32_t power)
{
    uint64_t root = 0;

    for (uint64_t bit = UINT64_C(1) << 35; bit != 0; bit >>= 1) {
        const uint64_t x = root | bit;
        const wide raised = (wide)x * x * (power == 3 ? x : 1);
        if (raised <= (wide)prime << 32 * power)
            root = x;
    }
    return (uint32_t)root;
}

static uint32_t next_prime(uint32_t after)
{
    for (uint32_t candidate = after + 1;; candidate++) {
        uint32_t divisor = 2;
        while (divisor * divisor <= candidate && candidate % divisor != 0)
            divisor++;
        if (divisor * divisor > candidate)
            return candidate;
    }
}

static void expand(const uint8_t *block, uint32_t schedule[ROUND_COUNT])
{
    for (uint32_t t = 0; t < 16; t++)
        schedule[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
                      (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (uint32_t t = 16; t < ROUND_COUNT; t++) {
        const uint32_t a = schedule[t - 15], b = schedule[t - 2];
        const uint32_t sigma0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3;
        const uint32_t sigma1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10;
        schedule[t] = sigma1 + schedule[t - 7] + sigma0 + schedule[t - 16];
    }
}

// Words 0 to 7 of `v` are the working variables a to h.
static void compress(uint32_t hash[8], const uint8_t *block, const uint32_t k[ROUND_COUNT])
{
    uint32_t w[ROUND_COUNT];
    uint32_t v[8];

    expand(block, w);
    for (uint32_t i = 0; i < 8; i++)
        v[i] = hash[i];
    for (uint32_t t = 0; t < ROUND_COUNT; t++) {
        const uint32_t sum1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        const uint32_t sum0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        const uint32_t t1 = v[7] + sum1 + choice + k[t] + w[t];
        for (uint32_t i = 7; i > 0; i--)
            v[i] = v[i - 1];
        v[4] += t1;
        v[0] = t1 + sum0 + majority;
    }
    for (uint32_t i = 0; i < 8; i++)
        hash[i] += v[i];
}

void sha256(const uint8_t *bytes, uint64_t byte_count, uint8_t digest[SHA256_BYTES])
{
    uint8_t padding[BLOCK_BYTES] = {0x80};
    uint32_t hash[8], k[ROUND_COUNT];
    uint32_t prime = 1;

    for (uint32_t i = 0; i < ROUND_COUNT; i++) {
        prime = next_prime(prime);
        k[i] = root_fraction(prime, 3);
        if (i < 8)
            hash[i] = root_fraction(prime, 2);
    }
    for (uint64_t done = 0; done < byte_count; done += BLOCK_BYTES)
        compress(hash, bytes + done, k);
    for (uint32_t i = 0; i < 8; i++)
        padding[56 + i] = (uint8_t)(byte_count * 8 >> (56 - 8 * i));
    compress(hash, padding, k);
    for (uint32_t i = 0; i < SHA256_BYTES; i++)
        digest[i] = (uint8_t)(hash[i / 4] >> (24 - i % 4 * 8));
}
