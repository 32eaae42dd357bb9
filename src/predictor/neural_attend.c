/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <math.h>
#include <string.h>

static const float SCALE = 0.125F; /* 1 / sqrt(MOE_NEURAL_WIDTH) */

static float dot(const float *a, const float *b)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < MOE_NEURAL_WIDTH; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(float *to, float factor, const float *from)
{
#pragma omp simd
    for (int i = 0; i < MOE_NEURAL_WIDTH; i++)
        to[i] += factor * from[i];
}

static int reach_of(int step)
{
    return step + 1 < MOE_RECUR_REACH ? step + 1 : MOE_RECUR_REACH;
}

/* One row: w[b] is the weight of the token b steps back. */
static void attend_row(const float *row, size_t stride, int reach, float *w,
                       float *out)
{
    float most = -INFINITY, sum = 0;
    for (int b = 0; b < reach; b++) {
        const float *key = row - (size_t)b * stride + MOE_NEURAL_WIDTH;
        w[b] = SCALE * dot(row, key);
        most = fmaxf(most, w[b]);
    }
    for (int b = 0; b < reach; b++)
        sum += w[b] = expf(w[b] - most);
    for (int b = 0; b < reach; b++) {
        w[b] /= sum;
        add_scaled(out, w[b],
                   row - (size_t)b * stride + 2 * (size_t)MOE_NEURAL_WIDTH);
    }
}

void moe_recur_attend(int64_t sequences, const float *qkv, float *weight,
                      float *out)
{
    const size_t stride = (size_t)sequences * MOE_RECUR_QKV;
#pragma omp parallel for schedule(static)
    for (int t = 0; t < MOE_RECUR_STEPS; t++)
        for (size_t n = 0; n < (size_t)sequences; n++) {
            const size_t r = (size_t)t * (size_t)sequences + n;
            attend_row(qkv + r * MOE_RECUR_QKV, stride, reach_of(t),
                       weight + r * MOE_RECUR_REACH,
                       out + r * MOE_NEURAL_WIDTH);
        }
}

static void attend_row_back(const float *row, float *drow, size_t stride,
                            int reach, const float *w, const float *dout)
{
    float dw[MOE_RECUR_REACH], sum = 0;
    for (int b = 0; b < reach; b++) {
        const size_t back = (size_t)b * stride;
        const float *value = row - back + 2 * (size_t)MOE_NEURAL_WIDTH;
        dw[b] = dot(dout, value);
        sum += w[b] * dw[b];
        add_scaled(drow - back + 2 * (size_t)MOE_NEURAL_WIDTH, w[b], dout);
    }
    for (int b = 0; b < reach; b++) {
        const size_t back = (size_t)b * stride;
        const float ds = SCALE * w[b] * (dw[b] - sum);
        add_scaled(drow, ds, row - back + MOE_NEURAL_WIDTH);
        add_scaled(drow - back + MOE_NEURAL_WIDTH, ds, row);
    }
}

/* Rows of one sequence write to rows before them, so a thread has whole
 * sequences. */
void moe_recur_attend_back(int64_t sequences, const float *qkv,
                           const float *weight, const float *dout, float *dqkv)
{
    const size_t stride = (size_t)sequences * MOE_RECUR_QKV;
    memset(dqkv, 0, MOE_RECUR_STEPS * stride * sizeof *dqkv);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < (size_t)sequences; n++)
        for (int t = 0; t < MOE_RECUR_STEPS; t++) {
            const size_t r = (size_t)t * (size_t)sequences + n;
            attend_row_back(qkv + r * MOE_RECUR_QKV, dqkv + r * MOE_RECUR_QKV,
                            stride, reach_of(t), weight + r * MOE_RECUR_REACH,
                            dout + r * MOE_NEURAL_WIDTH);
        }
}
