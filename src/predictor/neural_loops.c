/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* A masked value costs a byte of randomness. */
enum { DROP_OF_256 = 32 };
static const float KEPT = 256.0F / (256 - DROP_OF_256);

/* In training a token met n times is hidden in 1 of n + 1 steps, so that the
 * unknown token learns what rare ones do. */
uint32_t moe_neural_word(const moe_neural_task *task, uint64_t token,
                         uint64_t step)
{
    const uint32_t id = task->trace->token_id[token];
    const uint32_t unknown = task->trace->vocab_size;
    if (task->seen[id] == 0)
        return unknown;
    if (step == 0)
        return id;
    moe_rng rng = moe_rng_at(task->seed, MOE_RNG_TRAIN, step,
                             MOE_NEURAL_DRAW_WORD, token);
    return moe_rng_below(&rng, (uint64_t)task->seen[id] + 1) == 0 ? unknown
                                                                  : id;
}

void moe_neural_lookup(const float *table, const uint32_t *index, size_t rows,
                       float *x)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(x + r * MOE_NEURAL_WIDTH,
               table + (size_t)index[r] * MOE_NEURAL_WIDTH,
               MOE_NEURAL_WIDTH * sizeof *x);
}

void moe_neural_lookup_back(const uint32_t *index, size_t rows, const float *dx,
                            float *grad, size_t n)
{
    memset(grad, 0, n * sizeof *grad);
    for (size_t r = 0; r < rows; r++) {
        float *to = grad + (size_t)index[r] * MOE_NEURAL_WIDTH;
        for (size_t i = 0; i < MOE_NEURAL_WIDTH; i++)
            to[i] += dx[r * MOE_NEURAL_WIDTH + i];
    }
}

void moe_neural_drop(const moe_neural_task *task, uint64_t step, int draw,
                     size_t rows, size_t width, float *x)
{
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < rows; r++) {
        moe_rng rng =
            moe_rng_at(task->seed, MOE_RNG_TRAIN, step, (uint64_t)draw, r);
        uint64_t bits = 0;
        for (size_t i = 0; i < width; i++, bits >>= 8) {
            bits = i % 8 == 0 ? moe_rng_u64(&rng) : bits;
            x[r * width + i] *= (bits & 0xff) < DROP_OF_256 ? 0 : KEPT;
        }
    }
}

void moe_neural_relu(size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

void moe_neural_relu_back(size_t n, const float *y, float *dy)
{
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0 ? dy[i] : 0;
}

/* ---- loss ---- */

static dnnl_status_t make_softmax(moe_neural_loss *s, const moe_neural_lib *lib)
{
    const int64_t n_e = s->task->trace->experts;
    const int64_t n = (int64_t)(s->rows * s->width) / n_e;
    const dnnl_memory_desc_t md = moe_neural_desc(2, (int64_t[]){n, n_e});
    dnnl_softmax_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc =
        dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, &md, 1);
    rc = rc ? rc
            : dnnl_primitive_desc_create(&pd, &desc, NULL, lib->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&s->softmax, pd);
    rc =
        rc ? rc : dnnl_memory_create(&s->z, &md, lib->engine, DNNL_MEMORY_NONE);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

moe_status moe_neural_loss_init(moe_neural_loss *s, const moe_neural_lib *lib,
                                const moe_neural_task *task,
                                const moe_leads *leads, size_t rows,
                                moe_error *err)
{
    const moe_trace *t = task->trace;
    *s = (moe_neural_loss){.task = task,
                           .leads = leads,
                           .rows = rows,
                           .width = (size_t)t->layers * (size_t)t->experts};
    s->row_loss = moe_array_new(rows, sizeof *s->row_loss, err);
    s->row_hits = moe_array_new(rows, sizeof *s->row_hits, err);
    s->row_firsts = moe_array_new(rows, sizeof *s->row_firsts, err);
    if (err->status != MOE_OK)
        return err->status;
    return moe_neural_fail(make_softmax(s, lib), "softmax", err);
}

void moe_neural_loss_fini(moe_neural_loss *s)
{
    if (s->softmax != NULL)
        dnnl_primitive_destroy(s->softmax);
    dnnl_memory_destroy(s->z);
    free(s->row_loss);
    free(s->row_hits);
    free(s->row_firsts);
}

/* What would be chosen by these shares, against the truth. */
typedef struct {
    int hits, firsts; /* of the token's experts, and of the most probable */
} choices;

static void add_choice(const moe_neural_loss *s, size_t layer, uint64_t token,
                       const float *p, choices *sum)
{
    const moe_trace *t = s->task->trace;
    const uint16_t *truth =
        t->experts_of + (layer * t->n_tokens + token) * (size_t)t->top_k;
    uint16_t said[MOE_MAX_TOP_K];
    moe_score_choose(p, t->experts, t->top_k, said);
    moe_leads_put_first(s->leads, (int)layer, &t->token_id[token], p, 1, said);
    for (int j = 0; j < t->top_k; j++)
        for (int i = 0; i < t->top_k; i++)
            sum->hits += said[i] == truth[j];
    sum->firsts += said[0] == truth[0];
}

/* One token: its loss, summed over layers; its logits' gradient replaces the
 * probabilities. */
static void score_row(const moe_neural_loss *s, size_t row, uint64_t token,
                      float scale, bool train, float *p)
{
    const moe_trace *t = s->task->trace;
    const size_t n_e = (size_t)t->experts, k = (size_t)t->top_k;
    const float weight = 1 / (float)k;
    double loss = 0;
    choices right = {0, 0};
    for (size_t l = 0; l < (size_t)t->layers; l++, p += n_e) {
        const uint16_t *truth = t->experts_of + (l * t->n_tokens + token) * k;
        for (size_t j = 0; j < k; j++)
            loss -= (double)(weight * logf(fmaxf(p[truth[j]], 1e-30F)));
        if (!train) {
            add_choice(s, l, token, p, &right);
            continue;
        }
        for (size_t e = 0; e < n_e; e++)
            p[e] *= scale;
        for (size_t j = 0; j < k; j++)
            p[truth[j]] -= scale * weight;
    }
    s->row_loss[row] = loss / t->layers;
    s->row_hits[row] = (float)right.hits / (float)(t->layers * t->top_k);
    s->row_firsts[row] = (float)right.firsts / (float)t->layers;
}

dnnl_status_t moe_neural_loss_run(const moe_neural_loss *s,
                                  const moe_neural_lib *lib, float *z,
                                  const uint64_t *token, bool train,
                                  moe_neural_score *score)
{
    const moe_neural_arg args[] = {{DNNL_ARG_SRC, s->z, z},
                                   {DNNL_ARG_DST, s->z, z}};
    const dnnl_status_t rc = moe_neural_execute(lib, s->softmax, args, 2);
    size_t n = 0;
    for (size_t r = 0; r < s->rows; r++)
        n += token[r] != UINT64_MAX;
    const float scale = 1 / ((float)n * (float)s->task->trace->layers);
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < s->rows; r++) {
        float *p = z + r * s->width;
        s->row_loss[r] = s->row_hits[r] = s->row_firsts[r] = 0;
        if (token[r] != UINT64_MAX)
            score_row(s, r, token[r], scale, train, p);
        else
            memset(p, 0, s->width * sizeof *p);
    }
    for (size_t r = 0; r < s->rows; r++) {
        score->loss += s->row_loss[r];
        score->hits += (double)s->row_hits[r];
        score->firsts += (double)s->row_firsts[r];
    }
    score->tokens += (double)n;
    return rc;
}
