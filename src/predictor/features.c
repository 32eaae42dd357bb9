/* SPDX-License-Identifier: Apache-2.0 */
#include "features.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/predictor.h"
#include "moegps/wide.h"

/* Of what was before, this is left with every token. */
static const float kept[MOE_FEATURE_MEANS] = {0.5F, 0.9F, 0.99F};

size_t moe_features_width(const moe_trace *trace, unsigned sees,
                          const moe_hidden *hidden)
{
    size_t blocks = 2 + MOE_FEATURE_MEANS;
    blocks += (sees & MOE_SEES_LAYERS) != 0 ? MOE_FEATURE_SOURCES : 0;
    blocks += (sees & MOE_SEES_TOKENS) != 0 ? 1 + MOE_FEATURE_MEANS : 0;
    return blocks * (size_t)trace->experts +
           ((sees & MOE_SEES_HIDDEN) != 0 ? hidden->width : 0) + 1;
}

moe_status moe_features_init(moe_features *f, moe_error *err)
{
    const size_t n_e = (size_t)f->trace->experts;
    f->width = moe_features_width(f->trace, f->sees, f->hidden);
    f->one = moe_array_new(n_e, sizeof *f->one, err);
    f->all = moe_array_new(n_e, sizeof *f->all, err);
    f->mean = moe_array_new(MOE_FEATURE_MEANS * n_e, sizeof *f->mean, err);
    f->past = moe_array_new(MOE_FEATURE_MEANS * n_e, sizeof *f->past, err);
    return err->status;
}

void moe_features_fini(moe_features *f)
{
    free(f->one);
    free(f->all);
    free(f->mean);
    free(f->past);
}

void moe_features_layer(moe_features *f, int layer)
{
    const int number = moe_trace_layer_number(f->trace, layer);
    f->layer = layer;
    f->context = UINT64_MAX;
    for (int s = 0; s < MOE_FEATURE_SOURCES; s++) {
        const int from = number - f->lookahead - s;
        f->source[s] = from >= 0 && f->lookahead > 0
                           ? moe_trace_find_layer(f->trace, from)
                           : -1;
    }
}

static const uint16_t *chosen(const moe_features *f, int layer, uint64_t token)
{
    const size_t k = (size_t)f->trace->top_k;
    return f->trace->experts_of +
           ((size_t)layer * f->trace->n_tokens + token) * k;
}

/* ---- the tokens before ---- */

MOE_WIDE static void go_by(moe_features *f, uint64_t token)
{
    const size_t n_e = (size_t)f->trace->experts, k = (size_t)f->trace->top_k;
    const uint16_t *truth = chosen(f, f->layer, token);
    for (size_t m = 0; m < MOE_FEATURE_MEANS; m++) {
        float *mean = f->mean + m * n_e, *past = f->past + m * n_e;
        f->total[m] = f->total[m] * kept[m] + 1;
        for (size_t e = 0; e < n_e; e++)
            mean[e] = mean[e] * kept[m] + f->one[e];
        if ((f->sees & MOE_SEES_TOKENS) == 0)
            continue;
        for (size_t e = 0; e < n_e; e++)
            past[e] *= kept[m];
        for (size_t j = 0; j < k; j++)
            past[truth[j]]++;
    }
    f->at = token + 1;
}

/* @return the place in a sequence with which a token's context begins. */
static uint64_t context_of(uint64_t place)
{
    return place < 2 * MOE_FEATURE_SPAN
               ? 0
               : (place / MOE_FEATURE_SPAN - 1) * MOE_FEATURE_SPAN;
}

static void advance(moe_features *f, uint64_t first, uint64_t token)
{
    const size_t n = MOE_FEATURE_MEANS * (size_t)f->trace->experts;
    const uint64_t context = first + context_of(token - first);
    if (f->context != context || f->at > token) {
        memset(f->mean, 0, n * sizeof *f->mean);
        memset(f->past, 0, n * sizeof *f->past);
        memset(f->total, 0, sizeof f->total);
        f->context = f->at = context;
    }
    while (f->at < token) {
        f->share(f->arg, first, f->at, f->one, f->all);
        go_by(f, f->at);
    }
}

/* ---- a row ---- */

MOE_WIDE static float *put_means(const moe_features *f, const float *sum,
                                 const float *without, float *row)
{
    const size_t n_e = (size_t)f->trace->experts;
    for (size_t m = 0; m < MOE_FEATURE_MEANS; m++, row += n_e) {
        const float by = f->total[m] > 0 ? 1 / f->total[m] : 0;
        for (size_t e = 0; e < n_e; e++)
            row[e] = sum[m * n_e + e] * by;
        if (!(by > 0) && without != NULL)
            memcpy(row, without, n_e * sizeof *row);
    }
    return row;
}

static float *put_sources(const moe_features *f, uint64_t token, float *row)
{
    const moe_trace *t = f->trace;
    const size_t n_e = (size_t)t->experts, k = (size_t)t->top_k;
    for (int s = 0; s < MOE_FEATURE_SOURCES; s++, row += n_e) {
        memset(row, 0, n_e * sizeof *row);
        if (f->source[s] < 0)
            continue;
        const uint16_t *truth = chosen(f, f->source[s], token);
        const size_t at = ((size_t)f->source[s] * t->n_tokens + token) * k;
        for (size_t j = 0; j < k; j++)
            row[truth[j]] = t->gate != NULL ? t->gate[at + j] * (float)k : 1;
    }
    return row;
}

static float *put_last(const moe_features *f, uint64_t token, float *row)
{
    const size_t n_e = (size_t)f->trace->experts;
    memset(row, 0, n_e * sizeof *row);
    if (token > f->context) {
        const uint16_t *truth = chosen(f, f->layer, token - 1);
        for (int j = 0; j < f->trace->top_k; j++)
            row[truth[j]] = 1;
    }
    return put_means(f, f->past, NULL, row + n_e);
}

void moe_features_row(moe_features *f, uint64_t first, uint64_t token,
                      float *row_out)
{
    const size_t n_e = (size_t)f->trace->experts;
    float *row = row_out;
    advance(f, first, token);
    f->share(f->arg, first, token, f->one, f->all);
    memcpy(row, f->one, n_e * sizeof *row);
    memcpy(row + n_e, f->all, n_e * sizeof *row);
    row = put_means(f, f->mean, f->one, row + 2 * n_e);
    if ((f->sees & MOE_SEES_LAYERS) != 0)
        row = put_sources(f, token, row);
    if ((f->sees & MOE_SEES_TOKENS) != 0)
        row = put_last(f, token, row);
    if ((f->sees & MOE_SEES_HIDDEN) != 0)
        row = moe_hidden_put(f->hidden, f->source[0], token, row);
    *row = 1;
    go_by(f, token);
}
