/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "steps.h"

/* Every expert once, wherever the busiest GPU comes out least: what balance
 * can be had without a copy. Experts by falling load go to the least loaded
 * GPU that has room (Graham 1969, LPT, with places counted), then up to two of
 * the busiest GPU change places with up to two of another while that helps; few experts are tried in full, by
 * branch and bound, so that the result is the optimum. Of more, other orders
 * are tried while the result is above a bound: 60 experts on 12 GPUs come to
 * lie within 0.1 % of the optimum in most cases (tests/test_relocate.c). It heeds
 * neither the placement in force nor nodes: a bound more than a policy. */

enum {
    MAX_EXACT = 16,      /* experts to be tried in full */
    MAX_STEPS = 1 << 16, /* of the search; 8 experts on 4 GPUs need 105 */
    MAX_PAIRS = 1 << 20, /* exchanges of pairs to look at for one */
    STARTS = 16,         /* orders in which experts are placed, at most */
    NEAR = 4             /* places that an expert comes sooner or later by */
};

/* Above a bound, this is not worth another start. */
static const double TIGHT = 1e-3;

typedef struct {
    moe_layout layout;
    int experts, slots;
    int *order;         /* [experts] by falling load */
    int *gpu, *best;    /* [experts] where each is, now and at best */
    int *used, *listed; /* [gpus] */
    int *member;        /* [gpus][slots] experts of each GPU */
    bool pairs;         /* exchanges of two experts are looked at, too */
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
    s->listed = moe_array_new(g, sizeof *s->listed, &local);
    s->member =
        moe_array_new(g * (size_t)env->slots, sizeof *s->member, &local);
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
    s->steps += (uint64_t)s->experts * (uint64_t)s->layout.gpus / 2;
    for (int i = 0; i < s->experts; i++) {
        int to = -1;
        for (int g = 0; g < s->layout.gpus; g++)
            if (s->used[g] < s->slots && (to < 0 || s->sum[g] < s->sum[to]))
                to = g;
        put(s, s->order[i], to, 1);
    }
}

/* Up to two experts of the busiest GPU for up to two of another. */
typedef struct {
    int mine[2], theirs[2], n_mine, n_theirs;
    int gpu;
    double peak; /* of both sums afterwards */
} exchange;

static void list_members(relocate_state *s)
{
    memset(s->listed, 0, (size_t)s->layout.gpus * sizeof *s->listed);
    for (int e = 0; e < s->experts; e++) {
        const int g = s->gpu[e];
        s->member[g * s->slots + s->listed[g]++] = e;
    }
    s->steps += (uint64_t)s->experts;
}

/* What c may give for `mine`: nothing, one, or two. */
static void look_at(relocate_state *s, int h, int c, exchange with,
                    exchange *best)
{
    const int *member = s->member + c * s->slots;
    double gone = 0;
    with.gpu = c;
    s->steps += 4;
    for (int i = 0; i < with.n_mine; i++)
        gone += s->load[with.mine[i]];
    for (int i = -1; i < s->used[c]; i++)
        for (int j = -1; j < i || j < 0; j++) {
            double d = gone;
            with.n_theirs = (i >= 0) + (j >= 0);
            s->steps += 2;
            if (s->used[c] + with.n_mine - with.n_theirs <= s->slots &&
                s->used[h] + with.n_theirs - with.n_mine <= s->slots) {
                with.theirs[0] = i >= 0 ? member[i] : -1;
                with.theirs[1] = j >= 0 ? member[j] : -1;
                d -= i >= 0 ? s->load[member[i]] : 0;
                d -= j >= 0 ? s->load[member[j]] : 0;
                with.peak = fmax(s->sum[h] - d, s->sum[c] + d);
                if (d > 0 && with.peak < best->peak)
                    *best = with;
            }
            if (i < 0 || !s->pairs)
                break;
        }
}

static void carry_out(relocate_state *s, int h, const exchange *w)
{
    for (int i = 0; i < w->n_mine; i++) {
        put(s, w->mine[i], h, -1);
        put(s, w->mine[i], w->gpu, 1);
    }
    for (int i = 0; i < w->n_theirs; i++) {
        put(s, w->theirs[i], w->gpu, -1);
        put(s, w->theirs[i], h, 1);
    }
}

/* Exchange so that the larger of both sums falls most. @return whether any
 * exchange lowers that of the busiest GPU. */
static bool exchange_best(relocate_state *s)
{
    const int h = busiest(s);
    const int *member = s->member + h * s->slots;
    exchange best = {.gpu = -1, .peak = s->sum[h] * (1 - 1e-12)};
    list_members(s);
    for (int a = 0; a < s->used[h]; a++)
        for (int b = -1; b < (s->pairs ? a : 0); b++) {
            const exchange with = {.mine = {member[a], b >= 0 ? member[b] : -1},
                                   .n_mine = 1 + (b >= 0)};
            for (int c = 0; c < s->layout.gpus; c++)
                if (c != h && s->sum[c] < s->sum[h])
                    look_at(s, h, c, with, &best);
        }
    if (best.gpu < 0)
        return false;
    carry_out(s, h, &best);
    return true;
}

static bool may_pair(const relocate_state *s)
{
    const double n = s->slots, all = n * n * n * n / 4 * s->layout.gpus;
    return all < MAX_PAIRS;
}

/* One for one while that helps; then, unless that is too much work, two. */
static void improve(relocate_state *s)
{
    for (int pairs = 0; pairs < (may_pair(s) ? 2 : 1); pairs++) {
        s->pairs = pairs > 0;
        for (int i = 0; i < 2 * s->experts && exchange_best(s); i++) {
        }
    }
}

/* What the busiest GPU has at least: the mean; the largest expert, and the
 * smallest ones that find no slot elsewhere. */
static double bound_of(const relocate_state *s)
{
    const int spare = s->layout.gpus * s->slots - s->experts;
    double sum = 0, beside = s->load[s->order[0]];
    for (int i = 0; i < s->experts; i++) {
        const double load = s->load[s->order[i]];
        sum += load;
        if (i > 0 && i >= s->experts - (s->slots - 1 - spare))
            beside += load;
    }
    return fmax(sum / s->layout.gpus, beside);
}

/* Experts change places with near ones in the order, another way each time. */
static void disturb(relocate_state *s, int start)
{
    for (int i = 0; i + 1 < s->experts; i++) {
        moe_rng rng =
            moe_rng_at(0, MOE_RNG_PLANNER, (uint64_t)start, 0, (uint64_t)i);
        const int to = i + (int)moe_rng_below(&rng, NEAR);
        if (to >= s->experts)
            continue;
        const int e = s->order[i];
        s->order[i] = s->order[to];
        s->order[to] = e;
    }
    s->steps += 16 * (uint64_t)s->experts;
}

static void keep(relocate_state *s)
{
    memcpy(s->best, s->gpu, (size_t)s->experts * sizeof *s->best);
    s->least = s->sum[busiest(s)];
}

/* Place experts in other orders while the result may be far from the best. */
static void try_orders(relocate_state *s)
{
    const double enough = bound_of(s) * (1 + TIGHT);
    for (int k = 1; k < STARTS && s->least > enough && may_pair(s); k++) {
        disturb(s, k);
        pack(s);
        improve(s);
        if (s->sum[busiest(s)] < s->least)
            keep(s);
    }
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

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    relocate_state *s = state;
    const double *load = task->load;
    s->load = load;
    s->steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next))
        return MOE_OK;
    s->steps += moe_steps_to_write(next->gpus, next->slots);
    s->tried = 0;
    sort_experts(s);
    pack(s);
    improve(s);
    keep(s);
    if (s->experts <= MAX_EXACT) {
        memset(s->used, 0, (size_t)s->layout.gpus * sizeof *s->used);
        memset(s->sum, 0, (size_t)s->layout.gpus * sizeof *s->sum);
        search(s, 0);
    } else {
        try_orders(s);
    }
    s->steps += 2 * (uint64_t)s->tried;
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
    free(s->listed);
    free(s->member);
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
    .step_weight = 0.5,
    .fini = fini,
};
