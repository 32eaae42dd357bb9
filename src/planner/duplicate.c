/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Algorithm 1 of MoE-GPS (Ma, Du, Chen, arXiv 2506.07366), on counts: start
 * from home; while the busiest and the idlest GPU differ by more than one
 * pair, give the idlest a copy of the busiest one's largest expert and move
 * half the difference over.
 *
 * The paper leaves open what happens when the idlest GPU can take nothing: we
 * try the next idlest, and stop when nothing can leave the busiest GPU, as
 * then the maximum cannot fall. Every step moves at least one whole pair from
 * a GPU that has at least two more than the other, so the sum of squared
 * loads falls with every step and the loop ends. */

typedef struct {
    int max_copies;
} params_t;

static const moe_opt options[] = {
    {.key = "max_copies",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 65536,
     MOE_OPT_AT(params_t, max_copies),
     .help = "most replicas of one expert (the paper's C_max); 0: no limit"},
    {.key = NULL}};

typedef struct {
    moe_layout layout;
    int experts, slots, max_copies;
    int64_t *pairs; /* [experts][gpus] that GPU g computes of expert e */
    int64_t *load;  /* [gpus] */
    int *copies;    /* [experts] */
    int *used;      /* [gpus] slots taken */
    bool *holds;    /* [experts][gpus] */
    double *share;  /* [gpus][slots] */
    moe_replicas replicas;
} state_t;

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    state_t *s = state;
    size_t g = (size_t)env->layout.gpus, e = (size_t)env->experts;
    int limit = ((const params_t *)params)->max_copies;
    s->layout = env->layout;
    s->experts = env->experts;
    s->slots = env->slots;
    s->max_copies = limit > 0 ? limit : env->layout.gpus;
    moe_error local = {0};
    s->pairs = moe_array_new(e * g, sizeof *s->pairs, &local);
    s->load = moe_array_new(g, sizeof *s->load, &local);
    s->copies = moe_array_new(e, sizeof *s->copies, &local);
    s->used = moe_array_new(g, sizeof *s->used, &local);
    s->holds = moe_array_new(e * g, sizeof *s->holds, &local);
    s->share = moe_array_new(g * (size_t)env->slots, sizeof *s->share, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    return local.status == MOE_OK
               ? MOE_OK
               : moe_fail(err, local.status, "%s", local.text);
}

static void start_from_home(state_t *s, const double *load)
{
    size_t g_n = (size_t)s->layout.gpus;
    memset(s->pairs, 0, (size_t)s->experts * g_n * sizeof *s->pairs);
    memset(s->holds, 0, (size_t)s->experts * g_n * sizeof *s->holds);
    for (int g = 0; g < s->layout.gpus; g++) {
        int first = moe_layout_home_first(&s->layout, s->experts, g);
        s->used[g] = moe_layout_home_count(&s->layout, s->experts, g);
        s->load[g] = 0;
        for (int e = first; e < first + s->used[g]; e++) {
            size_t at = (size_t)e * g_n + (size_t)g;
            s->pairs[at] = (int64_t)llround(load[e]);
            s->load[g] += s->pairs[at];
            s->holds[at] = true;
            s->copies[e] = 1;
        }
    }
}

static int busiest(const state_t *s)
{
    int h = 0;
    for (int g = 1; g < s->layout.gpus; g++)
        if (s->load[g] > s->load[h])
            h = g;
    return h;
}

/* @return the largest expert of h that c may take, or -1. */
static int pick_expert(const state_t *s, int h, int c)
{
    size_t g_n = (size_t)s->layout.gpus;
    int best = -1;
    int64_t most = 0;
    for (int e = 0; e < s->experts; e++) {
        const size_t row = (size_t)e * g_n;
        if (s->pairs[row + (size_t)h] <= most)
            continue;
        bool may = s->holds[row + (size_t)c] ||
                   (s->copies[e] < s->max_copies && s->used[c] < s->slots);
        if (may) {
            best = e;
            most = s->pairs[row + (size_t)h];
        }
    }
    return best;
}

/* The idlest GPU that can take something from h, and what.
 * @return false when nothing can leave h. */
static bool pick_move(const state_t *s, int h, int *expert_out, int *gpu_out)
{
    *gpu_out = -1;
    for (int c = 0; c < s->layout.gpus; c++) {
        if (s->load[h] - s->load[c] <= 1 ||
            (*gpu_out >= 0 && s->load[c] >= s->load[*gpu_out]))
            continue;
        int e = pick_expert(s, h, c);
        if (e >= 0) {
            *expert_out = e;
            *gpu_out = c;
        }
    }
    return *gpu_out >= 0;
}

static void move(state_t *s, int e, int h, int c)
{
    const size_t row = (size_t)e * (size_t)s->layout.gpus;
    int64_t half = (s->load[h] - s->load[c] + 1) / 2;
    int64_t n =
        s->pairs[row + (size_t)h] < half ? s->pairs[row + (size_t)h] : half;
    if (!s->holds[row + (size_t)c]) {
        s->holds[row + (size_t)c] = true;
        s->copies[e]++;
        s->used[c]++;
    }
    s->pairs[row + (size_t)h] -= n;
    s->pairs[row + (size_t)c] += n;
    s->load[h] -= n;
    s->load[c] += n;
}

static void write_plan(state_t *s, moe_plan_layer *next)
{
    moe_plan_layer_set_home(next, &s->layout);
    for (int g = 0; g < s->layout.gpus; g++) {
        int base = g * s->slots;
        int used = moe_layout_home_count(&s->layout, s->experts, g);
        int first = moe_layout_home_first(&s->layout, s->experts, g);
        for (int e = 0; e < s->experts; e++) {
            bool home = e >= first && e < first + used;
            size_t at = (size_t)e * (size_t)s->layout.gpus + (size_t)g;
            if (s->holds[at] && !home)
                next->expert[base++ + used] = (int16_t)e;
        }
    }
    for (int k = 0; k < s->layout.gpus * s->slots; k++) {
        int e = next->expert[k];
        size_t at = (size_t)e * (size_t)s->layout.gpus + (size_t)(k / s->slots);
        s->share[k] = e >= 0 ? (double)s->pairs[at] : 0.0;
    }
    moe_plan_layer_set_quota(next, s->share, &s->replicas);
}

static moe_status plan(void *state, const double *load,
                       const moe_plan_layer *current, moe_plan_layer *next,
                       moe_error *err)
{
    (void)current, (void)err;
    state_t *s = state;
    start_from_home(s, load);
    int h = busiest(s), e = -1, c = -1;
    while (pick_move(s, h, &e, &c)) {
        move(s, e, h, c);
        h = busiest(s);
    }
    write_plan(s, next);
    return MOE_OK;
}

static void fini(void *state)
{
    state_t *s = state;
    free(s->pairs);
    free(s->load);
    free(s->copies);
    free(s->used);
    free(s->holds);
    free(s->share);
    moe_replicas_fini(&s->replicas);
}

const moe_planner moe_planner_duplicate = {
    .name = "duplicate",
    .help = "MoE-GPS Algorithm 1: copy the busiest GPU's largest expert to "
            "the idlest",
    .opts = options,
    .params_size = sizeof(params_t),
    .state_size = sizeof(state_t),
    .plans = true,
    .keeps_home = true,
    .init = init,
    .plan = plan,
    .fini = fini,
};
