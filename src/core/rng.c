/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include <Random123/philox.h>

static const double TWO_PI = 6.283185307179586477;

moe_rng moe_rng_at(uint64_t seed, moe_rng_stream stream, uint64_t iteration,
                   uint64_t layer, uint64_t token)
{
    return (moe_rng){.key = {seed, (uint64_t)stream},
                     .counter = {iteration, layer, token, 0},
                     .used = 4};
}

uint64_t moe_rng_u64(moe_rng *rng)
{
    if (rng->used == 4) {
        philox4x64_key_t key = {{rng->key[0], rng->key[1]}};
        philox4x64_ctr_t ctr = {{rng->counter[0], rng->counter[1],
                                 rng->counter[2], rng->counter[3]}};
        philox4x64_ctr_t out = philox4x64(ctr, key);
        memcpy(rng->out, out.v, sizeof rng->out);
        rng->counter[3]++;
        rng->used = 0;
    }
    return rng->out[rng->used++];
}

double moe_rng_unit(moe_rng *rng)
{
    return (double)(moe_rng_u64(rng) >> 11) * 0x1.0p-53;
}

uint64_t moe_rng_below(moe_rng *rng, uint64_t n)
{
    assert(n >= 1);
    __extension__ typedef unsigned __int128 wide;
    const uint64_t threshold = (0 - n) % n; /* 2^64 mod n */
    wide product;
    do {
        product = (wide)moe_rng_u64(rng) * n;
    } while ((uint64_t)product < threshold);
    return (uint64_t)(product >> 64);
}

double moe_rng_normal(moe_rng *rng)
{
    double u = 1.0 - moe_rng_unit(rng); /* (0, 1]: log is finite */
    double v = moe_rng_unit(rng);
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * v);
}

void moe_rng_shuffle(moe_rng *rng, void *base, size_t n, size_t size)
{
    unsigned char *a = base;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)moe_rng_below(rng, i);
        unsigned char *x = a + (i - 1) * size, *y = a + j * size;
        for (size_t b = 0; b < size && x != y; b++) {
            unsigned char t = x[b];
            x[b] = y[b];
            y[b] = t;
        }
    }
}
