/* SPDX-License-Identifier: Apache-2.0 */
#include "token_logs.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "scorer.h"
#include "smooth.h"

static const float LEAST = 1e-6F; /* share that is added to all */

moe_status moe_token_logs_init(moe_token_logs *t, const moe_predictor_env *env,
                               uint64_t seed, moe_error *err)
{
    const uint32_t vocab = env->trace->vocab_size;
    *t = (moe_token_logs){.trace = env->trace};
    if (moe_ngrams_open(&t->grams, env, seed, err) != MOE_OK)
        return err->status;
    t->row_of = moe_array_new(vocab, sizeof *t->row_of, err);
    if (t->row_of == NULL)
        return err->status;
    for (uint32_t v = 0; v < vocab; v++)
        t->row_of[v] = MOE_NGRAM_NONE;
    for (uint32_t r = 0; r < t->grams.index.rows; r++) {
        const uint32_t *id = t->grams.index.id[r];
        if (id[1] == MOE_NGRAM_NONE && id[0] < vocab)
            t->row_of[id[0]] = r;
    }
    return MOE_OK;
}

void moe_token_logs_fini(moe_token_logs *t)
{
    moe_ngrams_fini(&t->grams);
    free(t->row_of);
}

/* Take tokens out of a row's counts. @return experts that are left. */
static int take_out(const moe_token_logs *t, int layer, const uint64_t *away,
                    size_t n_away, float *count)
{
    const size_t k = (size_t)t->grams.top_k;
    const uint16_t *chosen =
        t->trace->experts_of +
        (size_t)t->grams.layers[layer] * t->trace->n_tokens * k;
    int met = 0;
    for (size_t a = 0; a < n_away; a++)
        for (size_t j = 0; j < k; j++)
            count[chosen[away[a] * k + j]]--;
    for (int e = 0; e < t->grams.experts; e++)
        met += count[e] > 0;
    return met;
}

void moe_token_logs_row(const moe_token_logs *t, int layer, uint32_t id,
                        const uint64_t *away, size_t n_away, float *logs_out)
{
    const moe_ngrams *g = &t->grams;
    const int trained = g->layers[layer], n_e = g->experts;
    const float *share = g->share + (size_t)trained * (size_t)n_e;
    const float d = g->discount[trained * MOE_NGRAM_ORDERS];
    const uint32_t row = t->row_of[id];
    const float n = row != MOE_NGRAM_NONE ? g->seen[row] - (float)n_away : 0;
    float count[MOE_MAX_EXPERTS], per = 0, left = 1;
    memset(count, 0, (size_t)n_e * sizeof *count);
    if (n > 0) {
        for (size_t i = g->start[layer][row]; i < g->start[layer][row + 1]; i++)
            count[(size_t)g->expert[i]] = g->count[i];
        per = 1 / n;
        left = d * per / (float)g->top_k *
               (float)take_out(t, layer, away, n_away, count);
    }
    for (int e = 0; e < n_e; e++)
        logs_out[e] =
            (count[e] > d ? count[e] - d : 0) * per + left * share[e] + LEAST;
    moe_smooth_log(logs_out, (size_t)n_e);
}

float *moe_token_logs_table(const moe_token_logs *t, int layer, moe_error *err)
{
    const size_t n_e = (size_t)t->grams.experts;
    float *table =
        moe_array_new(t->trace->vocab_size * n_e, sizeof *table, err);
    for (uint32_t v = 0; table != NULL && v < t->trace->vocab_size; v++)
        moe_token_logs_row(t, layer, v, NULL, 0, table + v * n_e);
    return table;
}
