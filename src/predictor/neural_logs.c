/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Rings of tokens of the same id, sequence by sequence. */
static void link_tokens(moe_neural_logs *l, uint32_t *first, uint32_t *last)
{
    const moe_trace *t = l->task->trace;
    for (uint64_t i = 0; i < t->n_tokens; i++)
        l->next[i] = UINT32_MAX;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        const uint64_t begin = t->seq_offset[s], end = t->seq_offset[s + 1];
        if (l->task->part[s] != NEURAL_FIT)
            continue;
        for (uint64_t i = begin; i < end; i++)
            first[t->token_id[i]] = UINT32_MAX;
        for (uint64_t i = begin; i < end; i++) {
            const uint32_t id = t->token_id[i];
            if (first[id] == UINT32_MAX)
                first[id] = (uint32_t)i;
            else
                l->next[last[id]] = (uint32_t)i;
            l->next[i] = first[id];
            last[id] = (uint32_t)i;
        }
    }
}

moe_status moe_neural_logs_init(moe_neural_logs *l, const moe_neural_task *task,
                                const moe_learned *learned, moe_error *err)
{
    const moe_trace *t = task->trace;
    *l = (moe_neural_logs){.task = task};
    l->layers = moe_array_new((size_t)t->layers, sizeof *l->layers, err);
    for (int i = 0; l->layers != NULL && i < t->layers; i++)
        l->layers[i] = i;
    const moe_predictor_env env = {.trace = t,
                                   .layers = l->layers,
                                   .n_layers = t->layers,
                                   .learned = learned};
    if (err->status != MOE_OK ||
        moe_token_logs_init(&l->table, &env, task->seed, err) != MOE_OK ||
        moe_leads_init(&l->leads, &env, err) != MOE_OK)
        return err->status;
    l->next = moe_array_new(t->n_tokens, sizeof *l->next, err);
    uint32_t *scratch =
        moe_array_new(2 * (size_t)t->vocab_size, sizeof *scratch, err);
    if (err->status == MOE_OK)
        link_tokens(l, scratch, scratch + t->vocab_size);
    free(scratch);
    return err->status;
}

void moe_neural_logs_fini(moe_neural_logs *l)
{
    moe_token_logs_fini(&l->table);
    moe_leads_fini(&l->leads);
    free(l->layers);
    free(l->next);
    *l = (moe_neural_logs){.task = NULL};
}

static void fill_row(const moe_neural_logs *l, uint64_t token, float *out)
{
    enum { MOST = 1024 }; /* of an id in a sequence; more stay in the table */
    const moe_trace *t = l->task->trace;
    const uint32_t id = t->token_id[token];
    uint64_t away[MOST];
    size_t n = 0;
    for (uint64_t i = token; l->next[i] != UINT32_MAX && n < MOST;) {
        away[n++] = i;
        i = l->next[i];
        if (i == token)
            break;
    }
    for (int layer = 0; layer < t->layers; layer++)
        moe_token_logs_row(&l->table, layer, id, away, n,
                           out + (size_t)layer * (size_t)t->experts);
}

void moe_neural_logs_fill(const moe_neural_logs *l, const uint64_t *token,
                          size_t rows, float *out)
{
    const moe_trace *t = l->task->trace;
    const size_t width = (size_t)t->layers * (size_t)t->experts;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < rows; r++)
        if (token[r] != UINT64_MAX)
            fill_row(l, token[r], out + r * width);
        else
            memset(out + r * width, 0, width * sizeof *out);
}
