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

/* All lanes at once, in registers: as arrays they went through memory, or one
 * by one. */
typedef float lanes_real __attribute__((vector_size(sizeof(lane))));
typedef int32_t lanes_int __attribute__((vector_size(sizeof(lane))));

/* Lane by lane, a where yes is all ones and b where it is 0. A macro, as is
 * what else returns vectors: functions would pass them in ways that depend on
 * the machine. */
#define PICK(yes, a, b) \
    ((lanes_real)(((yes) & (lanes_int)(a)) | (~(yes) & (lanes_int)(b))))
#define ALL(x) ((lanes_real){0} + (x))

/* Of two vectors, their lanes by number. */
#if defined(__clang__)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(a, b, ...) __builtin_shuffle(a, b, (lanes_int){__VA_ARGS__})
#endif

/* ---- blocks ---- */

/* Rows of eight by eight floats become columns. Pairs, then fours change places
 * within halves of a vector, then halves do. */
MOE_WITHIN void turn_eight(lanes_real v[MOE_LANES])
{
    lanes_real a[MOE_LANES], b[MOE_LANES];
    for (int i = 0; i < MOE_LANES; i += 2) {
        a[i] = MIX(v[i], v[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[i + 1] = MIX(v[i], v[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < MOE_LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] =
                MIX(a[i + j], a[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            b[i + 2 * j + 1] =
                MIX(a[i + j], a[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < MOE_LANES / 2; i++) {
        v[i] = MIX(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        v[i + 4] = MIX(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* @return experts that whole vectors take, of rows that fill a block. */
MOE_WITHIN int in_eights(size_t rows, int n)
{
    return rows == MOE_LANES ? n / MOE_LANES * MOE_LANES : 0;
}

MOE_WITHIN void turn_in(const float *score, size_t rows, int n, lane *z)
{
    const int eights = in_eights(rows, n);
    if (rows < MOE_LANES)
        memset(z, 0, (size_t)n * sizeof *z);
    for (int e = 0; e < eights; e += MOE_LANES) {
        lanes_real v[MOE_LANES];
        for (int r = 0; r < MOE_LANES; r++)
            memcpy(&v[r], score + r * n + e, sizeof v[r]);
        turn_eight(v);
        memcpy(z[e], v, sizeof v);
    }
    for (size_t r = 0; r < rows; r++)
        for (int e = eights; e < n; e++)
            z[e][r] = score[r * (size_t)n + (size_t)e];
}

MOE_WITHIN void turn_out(lane *z, size_t rows, int n, float *score)
{
    const int eights = in_eights(rows, n);
    for (int e = 0; e < eights; e += MOE_LANES) {
        lanes_real v[MOE_LANES];
        memcpy(v, z[e], sizeof v);
        turn_eight(v);
        for (int r = 0; r < MOE_LANES; r++)
            memcpy(score + r * n + e, &v[r], sizeof v[r]);
    }
    for (size_t r = 0; r < rows; r++)
        for (int e = eights; e < n; e++)
            score[r * (size_t)n + (size_t)e] = z[e][r];
}

/* ---- choices ---- */

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

/* Roots, to 1e-6 of them: that of the C library, which sets errno, compilers
 * take one by one. Three steps of Newton's from a guess by the bits. */
MOE_WITHIN void take_roots(lanes_real *x)
{
    const lanes_int word = 0x5f3759df - ((lanes_int)*x >> 1);
    lanes_real y = (lanes_real)word;
    for (int step = 0; step < 3; step++)
        y *= 1.5F - 0.5F * *x * y * y;
    *x *= y;
}

/* Of scores, where they lie among knots. */
MOE_WITHIN void find_places(lanes_real *x)
{
    const lanes_real none = ALL(0), highest = ALL(HIGHEST);
    *x = PICK(*x > none, *x, none);
    *x = PICK(*x < highest, *x, highest);
    take_roots(x);
    *x *= KNOTS_PER_ONE;
}

float moe_score_place(float score)
{
    lanes_real x = ALL(score);
    find_places(&x);
    return x[0];
}

enum { CELLS = MOE_SCORE_KNOTS - 1 }; /* between knots: four vectors of them */

/* Of every lane, table[cell]. A look-up in registers, where compilers have one:
 * gathers from memory took longer than all else that is done here. */
MOE_WITHIN void look_up(const float *table, const lanes_int *cell,
                        lanes_real *out)
{
    _Static_assert((int)CELLS == 4 * MOE_LANES, "four vectors");
#if defined(__clang__)
    MOE_EACH_LANE(l)(*out)[l] = table[(*cell)[l]];
#else
    lanes_real part[4];
    memcpy(part, table, sizeof part);
    const lanes_int upper = *cell >= 2 * MOE_LANES;
    const lanes_int low = (lanes_int)__builtin_shuffle(part[0], part[1], *cell);
    const lanes_int up = (lanes_int)__builtin_shuffle(part[2], part[3], *cell);
    *out = (lanes_real)((upper & up) | (~upper & low));
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
        lanes_real x, low, up;
        memcpy(&x, z[e], sizeof x);
        find_places(&x);
        const lanes_real last = ALL(CELLS - 1);
        const lanes_int at =
            __builtin_convertvector(PICK(x < last, x, last), lanes_int);
        look_up(start, &at, &low);
        look_up(step, &at, &up);
        x = (low + (x - __builtin_convertvector(at, lanes_real)) * up) *
            map->times[e];
        memcpy(z[e], &x, sizeof x);
    }
}

/* Clip at 0 and 1. @return sums, in sum_out. */
MOE_WITHIN void clip(lane *z, int n, lanes_real *sum_out)
{
    const lanes_real none = ALL(0), one = ALL(1);
    lanes_real sum = none;
    for (int e = 0; e < n; e++) {
        lanes_real x;
        memcpy(&x, z[e], sizeof x);
        x = PICK(x > none, x, none);
        x = PICK(x < one, x, one);
        sum += x;
        memcpy(z[e], &x, sizeof x);
    }
    *sum_out = sum;
}

/* What to multiply by, so that with those above 1 cut off the sum is k. From
 * scale on: what is cut off makes it larger. @return whether it is not done. */
MOE_WITHIN bool grow(lane *z, int n, int k, lanes_real *scale)
{
    const lanes_real none = ALL(0), one = ALL(1);
    lanes_real rest = none, above = none;
    int32_t more = 0;
    for (int e = 0; e < n; e++) {
        lanes_real x;
        memcpy(&x, z[e], sizeof x);
        const lanes_int cut = x * *scale >= one;
        rest += PICK(cut, none, x);
        above += PICK(cut, one, none);
    }
    const lanes_real now = PICK(rest > none, ((float)k - above) / rest, *scale);
    const lanes_int up = now > *scale;
    *scale = PICK(up, now, *scale);
    for (int l = 0; l < MOE_LANES; l++)
        more |= up[l];
    return more != 0;
}

MOE_WITHIN void normalise(lane *z, int n, int k)
{
    const lanes_real none = ALL(0), one = ALL(1);
    lanes_real sum, even = none;
    clip(z, n, &sum);
    lanes_real scale = PICK(sum > none, (float)k / sum, none);
    for (int pass = 0; pass < k && grow(z, n, k, &scale); pass++)
        ;
    /* If fewer than k have a score, the others share what is left. */
    sum = none;
    for (int e = 0; e < n; e++) {
        lanes_real x;
        memcpy(&x, z[e], sizeof x);
        even += PICK(x > none, none, one);
        x *= scale;
        x = PICK(x < one, x, one);
        sum += x;
        memcpy(z[e], &x, sizeof x);
    }
    const lanes_real left = (float)k - sum;
    even = PICK((left > ALL(1e-3F)) & (even > none), left / even, none);
    for (int e = 0; e < n; e++) {
        lanes_real x;
        memcpy(&x, z[e], sizeof x);
        x = PICK(x > none, x, even);
        memcpy(z[e], &x, sizeof x);
    }
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
