/** rng.h: counter-based random numbers, Philox4x64-10 (Random123).
 *
 *  A stream is addressed, never advanced: (seed, stream) is the key and
 *  (iteration, layer, token) the counter, so that any rank can draw the
 *  numbers of any token and the result does not depend on how many ranks
 *  there are.   Source: Salmon et al., SC'11, doi 10.1145/2063384.2063405.
 */
#ifndef MOEGPS_RNG_H
#define MOEGPS_RNG_H

#include <stddef.h>
#include <stdint.h>

/* One number per use, so that two uses never share random numbers. Append
 * only: a number changed changes every recorded experiment. */
typedef enum moe_rng_stream {
    MOE_RNG_TEST = 0,     /* free for tests */
    MOE_RNG_BATCH = 1,    /* which sequences or steps make a batch */
    MOE_RNG_EXPAND = 2,   /* load trace -> tokens */
    MOE_RNG_HIDDEN = 3,   /* hidden vectors of tokens */
    MOE_RNG_WEIGHT = 4,   /* expert weights */
    MOE_RNG_ORDER = 5,    /* order of strategies in an iteration */
    MOE_RNG_ORACLE = 6,   /* corruption by the oracle's dials */
    MOE_RNG_SYNTH = 7,    /* synthetic traces */
    MOE_RNG_STATS = 8,    /* bootstrap resampling */
    MOE_RNG_TRAIN = 9,    /* predictor training: initial weights, shuffles */
    MOE_RNG_DRAW = 10,    /* recorded loads -> the loads of a batch */
    MOE_RNG_PLANNER = 11, /* orders that a planner tries */
    MOE_RNG_MIX = 12      /* which experts of an expanded step share a token */
} moe_rng_stream;

/** A generator at one address. Plain value: copy it, drop it. */
typedef struct moe_rng {
    uint64_t key[2];     /* seed, stream */
    uint64_t counter[4]; /* iteration, layer, token, block of four draws */
    uint64_t out[4];     /* the current block */
    unsigned used;       /* draws taken from it, 0..4 */
} moe_rng;

/** Place a generator at an address; draws start there. Not collective. */
moe_rng moe_rng_at(uint64_t seed, moe_rng_stream stream, uint64_t iteration,
                   uint64_t layer, uint64_t token);

/** @return the next 64 random bits. */
uint64_t moe_rng_u64(moe_rng *rng);

/** @return uniform in [0, 1), 53 bits. */
double moe_rng_unit(moe_rng *rng);

/** @return uniform in 0..n-1 without bias (Lemire 2019); n >= 1. */
uint64_t moe_rng_below(moe_rng *rng, uint64_t n);

/** @return standard normal (Box-Muller, one of the pair). */
double moe_rng_normal(moe_rng *rng);

/** Shuffle n elements of `size` bytes in place (Fisher-Yates). */
void moe_rng_shuffle(moe_rng *rng, void *base, size_t n, size_t size);

#endif
