/* SPDX-License-Identifier: Apache-2.0 */
#include "scores.h"

#include <math.h>
#include <string.h>

#include "moegps/predictor.h"
#include "moegps/wide.h"
#include "smooth.h"

enum { KNOTS_PER_ONE = (MOE_SCORE_KNOTS - 1) / 2 }; /* of sqrt(score) */
static const float HIGHEST = 4; /* score; above it the map is flat */

typedef float lane[MOE_LANES]; /* of an expert */

/* ---- blocks ---- */

MOE_WITHIN void turn_in(const float *score, size_t rows, int n, lane *z)
{
    if (rows < MOE_LANES)
        memset(z, 0, (size_t)n * sizeof *z);
    for (size_t r = 0; r < rows; r++)
        for (int e = 0; e < n; e++)
            z[e][r] = score[r * (size_t)n + (size_t)e];
}

MOE_WITHIN void turn_out(lane *z, size_t rows, int n, float *score)
{
    for (size_t r = 0; r < rows; r++)
        for (int e = 0; e < n; e++)
            score[r * (size_t)n + (size_t)e] = z[e][r];
}

/* ---- choices ---- */

/* All lanes at once, in registers: as arrays they went through memory. */
typedef float lanes_real __attribute__((vector_size(sizeof(lane))));
typedef int32_t lanes_int __attribute__((vector_size(sizeof(lane))));

/* Every expert sinks into the falling list of the best so far. */
MOE_WITHIN void choose(lane *z, int n, int k, size_t rows, uint16_t *out)
{
    lanes_int best[MOE_MAX_TOP_K], who[MOE_MAX_TOP_K];
    for (int j = 0; j < k; j++) {
        best[j] = (lanes_int)((lanes_real){0} - INFINITY);
        who[j] = (lanes_int){0};
    }
    for (int e = 0; e < n; e++) {
        lanes_int x, id = (lanes_int){0} + e;
        memcpy(&x, z[e], sizeof x);
        for (int j = 0; j < k; j++) {
            const lanes_int had = best[j], was = who[j];
            const lanes_int up = (lanes_real)x > (lanes_real)had;
            best[j] = (up & x) | (~up & had);
            who[j] = (up & id) | (~up & was);
            x = (up & had) | (~up & x);
            id = (up & was) | (~up & id);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (int j = 0; j < k; j++)
            *out++ = (uint16_t)who[j][r];
}

void moe_score_choose(const float *score, int experts, int k, uint16_t *out)
{
    int have = 0;
    for (int e = 0; e < experts; e++) {
        int at = have;
        while (at > 0 && score[out[at - 1]] < score[e])
            at--;
        if (at == k)
            continue;
        have += have < k;
        memmove(out + at + 1, out + at, (size_t)(have - at - 1) * sizeof *out);
        out[at] = (uint16_t)e;
    }
}

/* ---- probabilities ---- */

/* A root, to 1e-6 of it: that of the C library, which sets errno, compilers
 * take one by one. Three steps of Newton's from a guess by the bits. */
MOE_WITHIN float root_of(float x)
{
    int32_t word;
    float y;
    memcpy(&word, &x, sizeof word);
    word = 0x5f3759df - (word >> 1);
    memcpy(&y, &word, sizeof y);
    for (int step = 0; step < 3; step++)
        y *= 1.5F - 0.5F * x * y * y;
    return x * y;
}

float moe_score_place(float score)
{
    const float x = score > 0 ? score : 0;
    return root_of(x < HIGHEST ? x : HIGHEST) * KNOTS_PER_ONE;
}

enum { CELLS = MOE_SCORE_KNOTS - 1 }; /* between knots: two vectors of them */

/* Of every lane, table[cell]. A look-up in registers, where compilers have one:
 * gathers from memory took longer than all else that is done here. */
MOE_WITHIN void look_up(const float *table, const lanes_int *cell,
                        lanes_real *out)
{
    _Static_assert((int)CELLS == 2 * MOE_LANES, "two vectors");
#if defined(__clang__)
    MOE_EACH_LANE(l)(*out)[l] = table[(*cell)[l]];
#else
    lanes_real low, high;
    memcpy(&low, table, sizeof low);
    memcpy(&high, table + MOE_LANES, sizeof high);
    *out = __builtin_shuffle(low, high, *cell);
#endif
}

MOE_WITHIN void put_through(const moe_score_map *map, lane *z, int n)
{
    float start[CELLS], step[CELLS];
    for (int j = 0; j < CELLS; j++) {
        start[j] = map->knot[j];
        step[j] = map->knot[j + 1] - map->knot[j];
    }
    for (int e = 0; e < n; e++) {
        lane place, cell;
        lanes_int at;
        lanes_real x, floor, low, up;
        MOE_EACH_LANE(l)
        {
            const float score = z[e][l] > 0 ? z[e][l] : 0;
            place[l] =
                root_of(score < HIGHEST ? score : HIGHEST) * KNOTS_PER_ONE;
            cell[l] = place[l] < CELLS - 1 ? place[l] : CELLS - 1;
        }
        memcpy(&floor, cell, sizeof floor);
        memcpy(&x, place, sizeof x);
        at = __builtin_convertvector(floor, lanes_int);
        floor = __builtin_convertvector(at, lanes_real);
        look_up(start, &at, &low);
        look_up(step, &at, &up);
        x = (low + (x - floor) * up) * map->times[e];
        memcpy(z[e], &x, sizeof x);
    }
}

/* Clip at 0 and 1. @return sums, in sum_out. */
MOE_WITHIN void clip(lane *z, int n, float *sum)
{
    MOE_EACH_LANE(l) sum[l] = 0;
    for (int e = 0; e < n; e++)
        MOE_EACH_LANE(l)
        {
            z[e][l] = z[e][l] > 0 ? z[e][l] : 0;
            z[e][l] = z[e][l] < 1 ? z[e][l] : 1;
            sum[l] += z[e][l];
        }
}

/* What to multiply by, so that with those above 1 cut off the sum is k. From
 * scale on: what is cut off makes it larger. @return whether it is not done. */
MOE_WITHIN bool grow(lane *z, int n, int k, float *scale)
{
    lane rest, above;
    bool more = false;
    MOE_EACH_LANE(l) rest[l] = above[l] = 0;
    for (int e = 0; e < n; e++)
        MOE_EACH_LANE(l)
        {
            const bool cut = z[e][l] * scale[l] >= 1;
            rest[l] += cut ? 0 : z[e][l];
            above[l] += cut ? 1.0F : 0.0F;
        }
    MOE_EACH_LANE(l)
    {
        const float now =
            rest[l] > 0 ? ((float)k - above[l]) / rest[l] : scale[l];
        above[l] = now > scale[l] ? 1.0F : 0.0F;
        scale[l] = now > scale[l] ? now : scale[l];
    }
    for (int l = 0; l < MOE_LANES; l++)
        more = more || above[l] > 0;
    return more;
}

MOE_WITHIN void normalise(lane *z, int n, int k)
{
    lane sum, scale, even;
    clip(z, n, sum);
    MOE_EACH_LANE(l) scale[l] = sum[l] > 0 ? (float)k / sum[l] : 0;
    for (int pass = 0; pass < k && grow(z, n, k, scale); pass++)
        ;
    /* If fewer than k have a score, the others share what is left. */
    MOE_EACH_LANE(l) sum[l] = even[l] = 0;
    for (int e = 0; e < n; e++)
        MOE_EACH_LANE(l)
        {
            const float x = z[e][l] * scale[l];
            even[l] += z[e][l] > 0 ? 0.0F : 1.0F;
            z[e][l] = x < 1 ? x : 1;
            sum[l] += z[e][l];
        }
    MOE_EACH_LANE(l)
    {
        const float left = (float)k - sum[l];
        even[l] = left > 1e-3F && even[l] > 0 ? left / even[l] : 0;
    }
    for (int e = 0; e < n; e++)
        MOE_EACH_LANE(l) z[e][l] = z[e][l] > 0 ? z[e][l] : even[l];
}

MOE_WITHIN void open_block(const moe_score_job *job, const float *score,
                           size_t rows, lane *z)
{
    turn_in(score, rows, job->experts, z);
    if (job->logits)
        moe_smooth_softmax(job->scratch, (size_t)job->experts,
                           (float)job->top_k);
}

MOE_WITHIN void settle(const moe_score_job *job, float *score, size_t rows,
                       uint16_t *choice)
{
    lane *z = (lane *)job->scratch;
    open_block(job, score, rows, z);
    if (choice != NULL)
        choose(z, job->experts, job->top_k, rows, choice);
    if (job->map.knot != NULL)
        put_through(&job->map, z, job->experts);
    normalise(z, job->experts, job->top_k);
    turn_out(z, rows, job->experts, score);
}

MOE_WIDE void moe_score_settle(const moe_score_job *job, float *score,
                               size_t rows, uint16_t *choice)
{
    const size_t n = (size_t)job->experts, k = (size_t)job->top_k;
    for (size_t r = 0; r < rows; r += MOE_LANES)
        if (rows - r >= MOE_LANES)
            settle(job, score + r * n, MOE_LANES,
                   choice != NULL ? choice + r * k : NULL);
        else
            settle(job, score + r * n, rows - r,
                   choice != NULL ? choice + r * k : NULL);
}

void moe_score_open(const moe_score_job *job, float *score, size_t rows)
{
    const size_t n = (size_t)job->experts;
    lane *z = (lane *)job->scratch;
    for (size_t r = 0; r < rows; r += MOE_LANES) {
        const size_t now = rows - r < MOE_LANES ? rows - r : MOE_LANES;
        open_block(job, score + r * n, now, z);
        turn_out(z, now, job->experts, score + r * n);
    }
}

/* ---- loads ---- */

/* To the nearest integer: it is in the low bits of the sum with 2^52. */
MOE_WITHIN int64_t units_of(float probability)
{
    const double sum = (double)probability * MOE_LOAD_ONE + 0x1p52;
    int64_t word;
    memcpy(&word, &sum, sizeof word);
    return word & INT64_C(0xfffffffffffff);
}

/* Of probabilities, which are not negative, the same order as of the numbers
   themselves; integers, since clang makes no vectors of the largest float. */
MOE_WITHIN int32_t rank_of(float probability)
{
    int32_t word;
    memcpy(&word, &probability, sizeof word);
    return word;
}

MOE_WIDE void moe_score_load(const float *score, size_t rows, int experts,
                             int k, uint64_t *load)
{
    for (size_t r = 0; r < rows; r++, score += experts) {
        int64_t sum = 0;
        int best = experts;
        int32_t most = 0;
#pragma omp simd reduction(+ : sum) reduction(max : most)
        for (int e = 0; e < experts; e++) {
            const int64_t units = units_of(score[e]);
            load[e] += (uint64_t)units;
            sum += units;
            const int32_t rank = rank_of(score[e]);
            most = rank > most ? rank : most;
        }
#pragma omp simd reduction(min : best)
        for (int e = 0; e < experts; e++) {
            const int here = rank_of(score[e]) >= most ? e : experts;
            best = here < best ? here : best;
        }
        load[best] += (uint64_t)(k * (int64_t)MOE_LOAD_ONE - sum);
    }
}
