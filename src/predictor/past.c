/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>

const char *const moe_histories[] = {
    [MOE_HISTORY_TRAINING] = "training", [MOE_HISTORY_NONE] = "none", NULL};

/* Iterations as the run makes them; all of a smaller training part is one. */
static moe_batcher_params shape_of(const moe_predictor_env *env)
{
    const moe_trace *t = env->trace;
    uint64_t seqs = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        seqs += t->seq_part[s] == MOE_PART_TRAIN &&
                t->seq_offset[s + 1] > t->seq_offset[s];
    const double asked = (double)env->batch * env->seq;
    const bool enough =
        env->batch > 0 &&
        (env->seq > 0
             ? asked <= (double)moe_trace_part_tokens(t, MOE_PART_TRAIN)
             : (uint64_t)env->batch <= seqs);
    return (moe_batcher_params){.trace = t,
                                .seed = env->seed,
                                .batch = enough ? env->batch : (int)seqs,
                                .seq = enough ? env->seq : 0,
                                .layers = env->layers,
                                .n_layers = env->n_layers,
                                .iterations = 1,
                                .gpu = -1,
                                .gpus = 1,
                                .order = env->order,
                                .training = true};
}

moe_status moe_predictor_remember(const moe_predictor *predictor, void *state,
                                  const moe_predictor_env *env,
                                  const void *params, moe_error *err)
{
    moe_batcher *batcher = NULL;
    const uint64_t most =
        predictor->lookback != NULL ? predictor->lookback(params) : 0;
    if (most == 0 || moe_trace_part_tokens(env->trace, MOE_PART_TRAIN) == 0)
        return MOE_OK;
    const moe_batcher_params shape = shape_of(env);
    if (moe_batcher_new(&shape, &batcher, err) != MOE_OK)
        return err->status;
    const uint64_t n = moe_batcher_whole(batcher);
    for (uint64_t i = n > most ? n - most : 0; i < n; i++)
        predictor->observe(state, moe_batcher_count(batcher, i));
    moe_batcher_free(batcher);
    return MOE_OK;
}
