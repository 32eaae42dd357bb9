/* SPDX-License-Identifier: Apache-2.0 */
#include "closed_form.h"

#include <math.h>
#include <time.h>

#include "scorer.h"

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double moe_closed_form_begin(const moe_train_env *env, moe_learned_part *part)
{
    moe_learned_drop(part, "");
    part->seed = env->seed;
    part->epochs_limit = 1;
    return cpu_now();
}

void moe_closed_form_add(moe_closed_form_score *s, int layer, uint64_t token,
                         float *share)
{
    const moe_trace *t = s->task->trace;
    const int k = t->top_k;
    const uint16_t *truth =
        t->experts_of + ((size_t)layer * t->n_tokens + token) * (size_t)k;
    uint16_t said[MOE_MAX_TOP_K];
    moe_score_choose(share, 1, t->experts, k, said);
    moe_score_normalise(share, t->experts, k);
    for (int j = 0; j < k; j++) {
        s->loss -= (double)s->task->rank_weight[j] *
                   log(fmax((double)share[truth[j]] / k, 1e-4));
        for (int i = 0; i < k; i++)
            s->hits += said[i] == truth[j] ? 1.0 / k : 0;
    }
    s->firsts += said[0] == truth[0];
    s->n++;
}

moe_status moe_closed_form_end(const moe_closed_form_score *s, double start,
                               moe_learned_part *part, moe_error *err)
{
    const struct {
        const char *name;
        double value;
    } points[] = {
        {"valid_loss", s->loss / s->n},
        {"valid_recall", s->hits / s->n},
        {"valid_top1", s->task->trace->ordered ? s->firsts / s->n : NAN}};
    for (int p = 0; p < 3; p++) {
        const moe_learned_shape shape = {
            points[p].name, 1, {MOE_LEARNED_EPOCH}, {1}};
        float *at = moe_learned_put(part, &shape, err);
        if (at == NULL)
            return err->status;
        *at = (float)points[p].value;
    }
    part->epochs = 1;
    part->best_epoch = 0;
    part->final_loss = s->loss / s->n;
    part->complete = true;
    part->cpu_s = cpu_now() - start;
    return MOE_OK;
}
