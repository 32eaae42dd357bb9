/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "steps.h"

/* Every expert once, wherever the busiest GPU comes out least: what balance
 * can be had without a copy. Experts by falling load go to the least loaded
 * GPU that has room (Graham 1969, LPT, with places counted), then pairs are
 * swapped while that helps the busiest GPU; few experts are tried in full, by
 * branch and bound, so that the result is the optimum. It heeds neither the
 * placement in force nor nodes: a bound more than a policy. */

enum {
    MAX_EXACT = 16,     /* experts to be tried in full */
    MAX_STEPS = 1 << 16 /* of the search; 8 experts on 4 GPUs need 105 */
};

typedef struct {
    moe_layout layout;
    int experts, slots;
    int *order;         /* [experts] by falling load */
    int *gpu, *best;    /* [experts] where each is, now and at best */
    int *used;          /* [gpus] */
    double *sum;        /* [gpus] */
    double *share;      /* [gpus][slots] */
    const double *load; /* [experts]; borrowed during a plan */
    double least;       /* of the busiest GPU in `best` */
    int tried;          /* of the search */
    uint64_t steps;
    moe_replicas replicas;
} relocate_state;

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    (void)params;
    relocate_state *s = state;
    const size_t g = (size_t)env->layout.gpus, e = (size_t)env->experts;
    moe_error local = {0};
    s->layout = env->layout;
    s->experts = env->experts;
    s->slots = env->slots;
    s->order = moe_array_new(e, sizeof *s->order, &local);
    s->gpu = moe_array_new(e, sizeof *s->gpu, &local);
    s->best = moe_array_new(e, sizeof *s->best, &local);
    s->used = moe_array_new(g, sizeof *s->used, &local);
    s->sum = moe_array_new(g, sizeof *s->sum, &local);
    s->share = moe_array_new(g * (size_t)env->slots, sizeof *s->share, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    return moe_pass(err, &local);
}

/* By falling load, equal ones by number. */
static void sort_experts(relocate_state *s)
{
    for (int i = 0; i < s->experts; i++) {
        int at = i;
        for (; at > 0 && s->load[s->order[at - 1]] < s->load[i]; at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = i;
        s->steps += (uint64_t)(i - at + 1);
    }
}

static void put(relocate_state *s, int e, int g, int sign)
{
    s->used[g] += sign;
    s->sum[g] += sign * s->load[e];
    s->gpu[e] = g;
}

static int busiest(const relocate_state *s)
{
    int h = 0;
    for (int g = 1; g < s->layout.gpus; g++)
        h = s->sum[g] > s->sum[h] ? g : h;
    return h;
}

static void pack(relocate_state *s)
{
    memset(s->used, 0, (size_t)s->layout.gpus * sizeof *s->used);
    memset(s->sum, 0, (size_t)s->layout.gpus * sizeof *s->sum);
    s->steps += (uint64_t)s->experts * (uint64_t)s->layout.gpus;
    for (int i = 0; i < s->experts; i++) {
        int to = -1;
        for (int g = 0; g < s->layout.gpus; g++)
            if (s->used[g] < s->slots && (to < 0 || s->sum[g] < s->sum[to]))
                to = g;
        put(s, s->order[i], to, 1);
    }
}

/* Exchange an expert of the busiest GPU for a smaller one so that the larger
 * of both sums falls most. @return whether one does. */
static bool swap_best(relocate_state *s)
{
    const int h = busiest(s);
    double least = s->sum[h] * (1 - 1e-12);
    int mine = -1, other = -1;
    s->steps += (uint64_t)s->experts * (uint64_t)(1 + s->used[h]);
    for (int a = 0; a < s->experts; a++)
        for (int b = 0; b < s->experts && s->gpu[a] == h; b++) {
            const int c = s->gpu[b];
            const double d = s->load[a] - s->load[b];
            const double peak = fmax(s->sum[h] - d, s->sum[c] + d);
            if (c != h && d > 0 && peak < least) {
                least = peak;
                mine = a;
                other = b;
            }
        }
    if (mine < 0)
        return false;
    const int c = s->gpu[other];
    put(s, mine, h, -1);
    put(s, other, c, -1);
    put(s, mine, c, 1);
    put(s, other, h, 1);
    return true;
}

static void keep(relocate_state *s)
{
    memcpy(s->best, s->gpu, (size_t)s->experts * sizeof *s->best);
    s->least = s->sum[busiest(s)];
}

/* Place expert i and those after it; of empty GPUs one stands for all. */
static void search(relocate_state *s, int i)
{
    if (i == s->experts) {
        keep(s);
        return;
    }
    const int e = s->order[i];
    for (int g = 0; g < s->layout.gpus && s->tried < MAX_STEPS; g++) {
        const bool empty = s->used[g] == 0;
        s->tried++;
        if (s->used[g] < s->slots && s->sum[g] + s->load[e] < s->least) {
            const double sum = s->sum[g];
            put(s, e, g, 1);
            search(s, i + 1);
            s->used[g]--;
            s->sum[g] = sum;
        }
        if (empty)
            break;
    }
}

static void write_plan(relocate_state *s, moe_plan_layer *next)
{
    const int n = s->layout.gpus * s->slots;
    memset(s->used, 0, (size_t)s->layout.gpus * sizeof *s->used);
    for (int i = 0; i < n; i++) {
        next->expert[i] = -1;
        next->quota[i] = 0;
        s->share[i] = 0.0;
    }
    for (int e = 0; e < s->experts; e++) {
        const int g = s->best[e], at = g * s->slots + s->used[g]++;
        next->expert[at] = (int16_t)e;
        s->share[at] = 1.0;
    }
    moe_plan_layer_set_quota(next, s->share, &s->replicas);
}

static moe_status plan(void *state, const double *load,
                       const moe_plan_layer *current, moe_plan_layer *next,
                       moe_error *err)
{
    (void)current, (void)err;
    relocate_state *s = state;
    s->load = load;
    s->steps = moe_steps_to_write(next->gpus, next->slots);
    s->tried = 0;
    sort_experts(s);
    pack(s);
    for (int i = 0; i < s->experts && swap_best(s); i++) {
    }
    keep(s);
    if (s->experts <= MAX_EXACT) {
        memset(s->used, 0, (size_t)s->layout.gpus * sizeof *s->used);
        memset(s->sum, 0, (size_t)s->layout.gpus * sizeof *s->sum);
        search(s, 0);
    }
    s->steps += (uint64_t)s->tried;
    s->load = NULL;
    write_plan(s, next);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const relocate_state *)state)->steps;
}

static void fini(void *state)
{
    relocate_state *s = state;
    free(s->order);
    free(s->gpu);
    free(s->best);
    free(s->used);
    free(s->sum);
    free(s->share);
    moe_replicas_fini(&s->replicas);
}

const moe_planner moe_planner_relocate = {
    .name = "relocate",
    .help = "no copies: every expert once, where the busiest GPU has least",
    .state_size = sizeof(relocate_state),
    .plans = true,
    .init = init,
    .plan = plan,
    .steps = steps,
    .fini = fini,
};
