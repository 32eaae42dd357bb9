/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "linear_parts.h"
#include "moegps/mem.h"
#include "moegps/wide.h"
#include "walk.h"

enum { ROWS = 4, LANES = 8, VECTORS = 2 }; /* of a product in registers */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

/* Of experts from e on, all rows: as arrays, compilers kept the sums in memory. */
MOE_WITHIN void multiply(const float *weight, size_t width, size_t experts,
                         const float *rows, float *out)
{
    vector sum[ROWS][VECTORS] = {{{0}}};
    for (size_t f = 0; f < width; f++)
        for (size_t i = 0; i < VECTORS; i++) {
            vector w;
            memcpy(&w, weight + f * experts + i * LANES, sizeof w);
            for (size_t r = 0; r < ROWS; r++)
                sum[r][i] += rows[r * width + f] * w;
        }
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < VECTORS; i++) {
            const vector v = sum[r][i];
            memcpy(out + r * experts + i * LANES, &v, sizeof v);
        }
}

MOE_WIDE void moe_linear_product(const float *weight, size_t width,
                                 size_t experts, const float *rows, float *out)
{
    size_t e = 0;
    for (; e + VECTORS * LANES <= experts; e += VECTORS * LANES)
        multiply(weight + e, width, experts, rows, out + e);
    for (; e < experts; e++) {
        float sum[ROWS] = {0};
        for (size_t f = 0; f < width; f++)
            for (size_t r = 0; r < ROWS; r++)
                sum[r] += rows[r * width + f] * weight[f * experts + e];
        for (size_t r = 0; r < ROWS; r++)
            out[r * experts + e] = sum[r];
    }
}

static void share_of(void *arg, uint64_t first, uint64_t token, float *one,
                     float *all)
{
    moe_linear *s = arg;
    uint32_t beyond[MOE_NGRAM_ORDERS];
    uint32_t *rows = s->at < s->room ? s->gram[s->at] : beyond;
    if (s->at >= s->walked) {
        moe_ngram_index_find(&s->grams.index, s->trace, first, token, rows);
        s->walked += s->at < s->room;
    }
    s->at++;
    moe_ngrams_share(&s->grams, s->layer, rows, one, all);
}

static void fill(void *state, const moe_batch *batch, int layer)
{
    moe_linear *s = state;
    const size_t n_e = (size_t)batch->experts, width = s->features.width;
    const float *weight = s->weight + (size_t)s->layers[layer] * width * n_e;
    moe_walk walk = moe_walk_of(s->trace, batch);
    s->layer = layer;
    if (!moe_mark_holds(&s->mark, batch, layer))
        s->walked = 0;
    s->at = 0;
    moe_features_layer(&s->features, s->layers[layer]);
    for (uint32_t t = 0; t < batch->own; t += ROWS) {
        const uint32_t n = batch->own - t < ROWS ? batch->own - t : ROWS;
        for (uint32_t r = 0; r < n; r++)
            moe_features_row(&s->features, moe_walk_first(&walk, t + r),
                             batch->id[t + r], s->row + r * width);
        moe_linear_product(weight, width, n_e, s->row, s->out);
        memcpy(s->base.score + t * n_e, s->out, n * n_e * sizeof(float));
    }
}

/* The width of hidden states is what a map's own width leaves. */
static moe_status check_states(const moe_linear *s,
                               const moe_learned_part *part, moe_error *err)
{
    const uint64_t others = s->features.width - s->hidden.width;
    for (int a = 0; a < part->n_arrays && s->hidden.width > 0; a++) {
        const moe_learned_array *w = &part->array[a];
        if (w->rank == 3 && w->dim[1] >= others &&
            w->dim[1] != s->features.width)
            return moe_fail(err, MOE_MISMATCH,
                            "predictor %s: was trained on hidden states of "
                            "width %" PRIu64 ", the file's are %zu wide",
                            part->predictor, w->dim[1] - others,
                            s->hidden.width);
    }
    return MOE_OK;
}

/* The map of this lookahead, and what it rests on. */
static moe_status open_parts(moe_linear *s, const moe_predictor_env *env,
                             moe_error *err)
{
    const moe_learned_part *part =
        moe_learned_part_for(env->self->name, env, err);
    if (part == NULL ||
        moe_ngrams_open(&s->grams, env, part->seed, err) != MOE_OK)
        return err->status;
    const bool ahead = moe_horizon_layers(env->self->sees);
    if (check_states(s, part, err) != MOE_OK)
        return err->status;
    s->weight = moe_linear_weights(part, env->trace, s->features.width,
                                   ahead ? env->lookahead : 0, err);
    return err->status;
}

moe_status moe_linear_init(void *state, const moe_predictor_env *env,
                           const void *params, moe_error *err)
{
    moe_linear *s = state;
    const unsigned sees = env->self->sees;
    const size_t n_e = (size_t)env->trace->experts;
    moe_error local = {0};
    s->trace = env->trace;
    s->layers = env->layers;
    s->base.fill = fill;
    if ((sees & MOE_SEES_HIDDEN) != 0)
        moe_hidden_read(&s->hidden, &env->file, env->trace, &local);
    s->features = (moe_features){.trace = env->trace,
                                 .sees = sees,
                                 .lookahead = env->lookahead,
                                 .hidden = &s->hidden,
                                 .share = share_of,
                                 .arg = s};
    if (local.status == MOE_OK &&
        moe_features_init(&s->features, &local) == MOE_OK &&
        moe_scorer_init(&s->base, env, params, &local) == MOE_OK)
        open_parts(s, env, &local);
    s->room = 2 * (size_t)env->max_own + 2 * MOE_FEATURE_SPAN;
    s->gram = moe_array_new(s->room, sizeof *s->gram, &local);
    s->row = moe_array_new(ROWS * s->features.width, sizeof *s->row, &local);
    s->out = moe_array_new(ROWS * n_e, sizeof *s->out, &local);
    return moe_pass(err, &local);
}

/* Rows of the tables and the means' part of a row are gathered, scaled and
 * added up; then one product. */
int moe_linear_work(const void *state, double n, double sequences,
                    moe_gemm_run *runs_out)
{
    const moe_linear *s = state;
    const double n_e = s->base.experts, width = (double)s->features.width;
    const bool past = (s->features.sees & MOE_SEES_TOKENS) != 0;
    (void)sequences;
    runs_out[0] = (moe_gemm_run){{n, n_e, 1, false}, MOE_NGRAM_ORDERS};
    runs_out[1] =
        (moe_gemm_run){{n, MOE_FEATURE_MEANS * n_e, 1, false}, past ? 2 : 1};
    runs_out[2] = (moe_gemm_run){{n, n_e, width, false}, 1};
    return 3;
}

size_t moe_linear_parameters(const void *state)
{
    const moe_linear *s = state;
    return s->grams.numbers + s->features.width * (size_t)s->base.experts *
                                  (size_t)s->trace->layers;
}

void moe_linear_fini(void *state)
{
    moe_linear *s = state;
    moe_scorer_fini(&s->base);
    moe_features_fini(&s->features);
    moe_ngrams_fini(&s->grams);
    moe_hidden_fini(&s->hidden);
    free(s->gram);
    free(s->row);
    free(s->out);
}
