/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "walk.h"

/* The LSTM predictor of MoE-GPS (arXiv 2506.07366, section 3.2): two layers
 * of 64, sparse attention (here: to the last tokens), residual, and a head
 * per MoE layer. It knows a token and those before it, never those after. */

enum { EPOCHS = 60 }; /* of training, at most */
/* Chunks that run together: at most a tile of oneDNN's kernels for a step, and
 * whole tiles for all steps, as MOE_NEURAL_ROWS. */
enum { GROUP = 6 };

typedef struct {
    moe_neural_predictor base;
    const moe_trace *trace; /* borrowed */
    moe_recur_trunk trunk;
    uint32_t *chunk_of; /* [max_own] chunk, in order of appearance */
    uint16_t *step_of;  /* [max_own] place in it */
    uint64_t *first;    /* [max_own + 1] first token of each chunk */
    uint64_t *end;      /* [max_own] behind the last of its sequence */
} lstm_state;

static moe_status allocate(lstm_state *s, uint32_t max_own, moe_error *err)
{
    const size_t n = max_own;
    s->chunk_of = moe_array_new(n, sizeof *s->chunk_of, err);
    s->step_of = moe_array_new(n, sizeof *s->step_of, err);
    s->first = moe_array_new(n, sizeof *s->first, err);
    s->end = moe_array_new(n, sizeof *s->end, err);
    return err->status;
}

/* Which chunks the rank's tokens need. @return how many. */
static uint32_t find_chunks(lstm_state *s, const moe_batch *batch)
{
    const moe_trace *t = s->trace;
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->own; i++) {
        const uint64_t seq = moe_sequence_of(t, batch->id[i]);
        const uint64_t place = batch->id[i] - t->seq_offset[seq];
        const uint64_t at = recur_chunk_of(place) * RECUR_STRIDE;
        const uint64_t first = t->seq_offset[seq] + at;
        if (n == 0 || s->first[n - 1] != first) {
            s->first[n] = first;
            s->end[n++] = t->seq_offset[seq + 1];
        }
        s->chunk_of[i] = n - 1;
        s->step_of[i] = (uint16_t)(place - at);
    }
    return n;
}

/* Embeddings of the chunks from `from` on; what is missing is zero. */
static void fill_group(lstm_state *s, uint32_t from, uint32_t n)
{
    memset(s->trunk.x, 0, s->trunk.rows * MOE_NEURAL_WIDTH * sizeof(float));
    for (uint32_t q = 0; q < n; q++)
        for (uint64_t step = 0; step < MOE_RECUR_STEPS; step++) {
            const uint64_t token = s->first[from + q] + step;
            if (token >= s->end[from + q])
                break;
            moe_neural_lookup(
                s->base.value[MOE_TRUNK_EMBEDDING], s->trace->token_id + token,
                1, s->trunk.x + (step * GROUP + q) * MOE_NEURAL_WIDTH);
        }
}

static void trunk(void *state, const moe_batch *batch)
{
    lstm_state *s = state;
    const uint32_t chunks = find_chunks(s, batch);
    for (uint32_t from = 0, i = 0; from < chunks; from += GROUP) {
        const uint32_t n = chunks - from < GROUP ? chunks - from : GROUP;
        fill_group(s, from, n);
        moe_recur_trunk_run(&s->trunk, &s->base.lib, s->base.value);
        for (; i < batch->own && s->chunk_of[i] < from + n; i++) {
            const size_t row =
                (size_t)s->step_of[i] * GROUP + (s->chunk_of[i] - from);
            memcpy(s->base.x + (size_t)i * MOE_NEURAL_WIDTH,
                   s->trunk.sum + row * MOE_NEURAL_WIDTH,
                   MOE_NEURAL_WIDTH * sizeof(float));
        }
    }
}

static moe_status set_up(lstm_state *s, const moe_predictor_env *env,
                         const moe_scorer_params *params, moe_error *err)
{
    s->trace = env->trace;
    s->base.trunk = trunk;
    if (moe_neural_predictor_init(&s->base, &moe_neural_lstm, env, params,
                                  err) != MOE_OK ||
        allocate(s, env->max_own, err) != MOE_OK ||
        moe_recur_trunk_init(&s->trunk, &s->base.lib, GROUP, false, err) !=
            MOE_OK)
        return err->status;
    return moe_neural_fail(moe_recur_lstm_load(&s->trunk.lstm, &s->base.lib,
                                               s->base.value[MOE_TRUNK_INPUT],
                                               s->base.value[MOE_TRUNK_STATE]),
                           "LSTM", err);
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    moe_error local = {0};
    set_up(state, env, params, &local);
    return moe_pass(err, &local);
}

/* What is computed here, at a GPU's number of tokens: the input's part of the
 * gates for all tokens of all chunks at once, the state's part step after
 * step, of all chunks together. The trunk is computed once for all layers:
 * each is charged its part, also where a run has few of them. */
static int work(const void *state, double n, double sequences,
                moe_gemm_run *runs_out)
{
    const lstm_state *s = state;
    const double part = 1.0 / s->base.trained;
    const double gates = MOE_RECUR_GATES * MOE_NEURAL_WIDTH;
    const double seqs = fmax(sequences, 1);
    const double more = ceil((n / seqs - MOE_RECUR_STEPS) / RECUR_STRIDE);
    const double chunks = seqs * (1 + fmax(more, 0));
    const double rows = chunks * MOE_RECUR_STEPS;
    runs_out[0] = (moe_gemm_run){{rows, MOE_NEURAL_WIDTH, 1, false}, part};
    runs_out[1] = (moe_gemm_run){{rows, gates, MOE_NEURAL_WIDTH, false},
                                 MOE_RECUR_LAYERS * part};
    runs_out[2] = (moe_gemm_run){{chunks, gates, MOE_NEURAL_WIDTH, false},
                                 MOE_RECUR_LAYERS * MOE_RECUR_STEPS * part};
    runs_out[3] =
        (moe_gemm_run){{rows, MOE_RECUR_QKV, MOE_NEURAL_WIDTH, false}, part};
    runs_out[4] =
        (moe_gemm_run){{rows, MOE_RECUR_REACH, MOE_NEURAL_WIDTH, false}, part};
    runs_out[5] =
        (moe_gemm_run){{rows, MOE_NEURAL_WIDTH, MOE_RECUR_REACH, false}, part};
    return 6 + moe_neural_heads_work(&s->base, n, runs_out + 6);
}

static void fini(void *state)
{
    lstm_state *s = state;
    moe_recur_trunk_fini(&s->trunk);
    moe_neural_predictor_fini(&s->base);
    free(s->chunk_of);
    free(s->step_of);
    free(s->first);
    free(s->end);
}

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    return moe_neural_train(&moe_neural_lstm, EPOCHS, env, part, err);
}

const moe_predictor moe_predictor_lstm = {
    .name = "lstm",
    .help = "trained on the token and those before it: LSTM of 2 x 64, "
            "attention, residual",
    .state_size = sizeof(lstm_state),
    MOE_NEURAL_HOOKS,
};
