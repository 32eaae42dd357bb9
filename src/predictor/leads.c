/* SPDX-License-Identifier: Apache-2.0 */
#include "leads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "moegps/mem.h"
#include "token_logs.h"

static uint8_t part_of_255(double share)
{
    return (uint8_t)lround(255 * share);
}

/* @param total  [2][experts] scratch: visits, first choices. */
static void fill_layer(const moe_token_logs *t, int layer, double *total,
                       uint8_t *share)
{
    const moe_ngrams *g = &t->grams;
    const size_t n_e = (size_t)g->experts, vocab = t->trace->vocab_size;
    double *first = total + n_e;
    memset(total, 0, 2 * n_e * sizeof *total);
    for (size_t v = 0; v < vocab; v++) {
        const uint32_t r = t->row_of[v];
        for (size_t i = r != MOE_NGRAM_NONE ? g->start[layer][r] : 0;
             r != MOE_NGRAM_NONE && i < g->start[layer][r + 1]; i++) {
            total[(size_t)g->expert[i]] += (double)g->count[i];
            first[(size_t)g->expert[i]] += (double)g->first[i];
        }
    }
    for (size_t e = 0; e < n_e; e++)
        first[e] = total[e] > 0 ? first[e] / total[e] : 0;
    for (size_t v = 0; v < vocab; v++, share += n_e) {
        const uint32_t r = t->row_of[v];
        for (size_t e = 0; e < n_e; e++)
            share[e] = part_of_255(first[e]);
        for (size_t i = r != MOE_NGRAM_NONE ? g->start[layer][r] : 0;
             r != MOE_NGRAM_NONE && i < g->start[layer][r + 1]; i++) {
            const size_t e = (size_t)g->expert[i];
            share[e] = part_of_255(((double)g->first[i] + first[e]) /
                                   ((double)g->count[i] + 1));
        }
    }
}

static moe_status fill(moe_leads *l, const moe_token_logs *t, moe_error *err)
{
    const size_t n_e = (size_t)l->experts;
    double *total = moe_array_new(2 * n_e, sizeof *total, err);
    l->share = moe_array_new((size_t)l->n_layers, sizeof *l->share, err);
    for (int i = 0; i < l->n_layers && err->status == MOE_OK; i++) {
        l->share[i] =
            moe_array_new(t->trace->vocab_size * n_e, sizeof **l->share, err);
        if (l->share[i] != NULL)
            fill_layer(t, i, total, l->share[i]);
    }
    free(total);
    return err->status;
}

moe_status moe_leads_init(moe_leads *l, const moe_predictor_env *env,
                          moe_error *err)
{
    const moe_learned_part *part = env->learned != NULL && env->trace->ordered
                                       ? moe_learned_find(env->learned, "ngram")
                                       : NULL;
    moe_token_logs t;
    *l = (moe_leads){.n_layers = env->n_layers,
                     .experts = env->trace->experts,
                     .top_k = env->trace->top_k};
    if (part == NULL || !moe_learned_has(part, "firsts"))
        return MOE_OK;
    if (moe_token_logs_init(&t, env, part->seed, err) == MOE_OK)
        fill(l, &t, err);
    moe_token_logs_fini(&t);
    return err->status;
}

void moe_leads_fini(moe_leads *l)
{
    for (int i = 0; l->share != NULL && i < l->n_layers; i++)
        free(l->share[i]);
    free(l->share);
    *l = (moe_leads){.share = NULL};
}

void moe_leads_put_first(const moe_leads *l, int layer,
                         const uint32_t *token_id, const float *probability,
                         size_t own, uint16_t *choice)
{
    const size_t n_e = (size_t)l->experts, k = (size_t)l->top_k;
    if (l->share == NULL)
        return;
    for (size_t t = 0; t < own; t++, probability += n_e, choice += k) {
        if (t + MOE_FETCH_AHEAD < own)
            moe_fetch(l->share[layer] + token_id[t + MOE_FETCH_AHEAD] * n_e,
                      n_e);
        const uint8_t *share = l->share[layer] + token_id[t] * n_e;
        float most = -1;
        size_t lead = 0;
        for (size_t j = 0; j < k; j++) {
            const float x = probability[choice[j]] * (float)share[choice[j]];
            lead = x > most ? j : lead;
            most = x > most ? x : most;
        }
        const uint16_t e = choice[lead];
        for (size_t j = lead; j > 0; j--)
            choice[j] = choice[j - 1];
        choice[0] = e;
    }
}
