/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>

#include "keep.h"
#include "moegps/mem.h"
#include "peak.h"
#include "steps.h"

/* Algorithm 1 of MoE-GPS (Ma, Du, Chen, arXiv 2506.07366), on counts: start
 * from home; while the busiest and the idlest GPU differ by more than one
 * pair, give the idlest a copy of the busiest one's largest expert and move
 * half the difference over.
 *
 * The paper leaves open what happens when the idlest GPU can take nothing: we
 * try the next idlest, and stop when nothing can leave the busiest GPU, as
 * then the maximum cannot fall. Every step moves at least one whole pair from
 * a GPU that has at least two more than the other, so the sum of squared
 * loads falls with every step and the loop ends.
 *
 * A step takes the logarithm of the GPUs, plus the replicas of the experts
 * that the busiest GPU holds. */

typedef struct {
    int max_copies;
} duplicate_params;

static const moe_opt options[] = {
    {.key = "max_copies",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 65536,
     MOE_OPT_AT(duplicate_params, max_copies),
     .help = "most replicas of one expert (the paper's C_max); 0: no limit"},
    {.key = NULL}};

/* Slot s of GPU g is number g * slots + s; homes come first. */
typedef struct {
    moe_layout layout;
    int experts, slots, max_copies;
    uint64_t steps;
    int16_t *expert; /* [gpus][slots] of the used slots */
    int64_t *pairs;  /* [gpus][slots] that this replica computes */
    int32_t *other;  /* [gpus][slots] another slot of the expert, -1: last */
    int32_t *any;    /* [experts] a slot that has it */
    int64_t *load;   /* [gpus] */
    int *copies;     /* [experts] */
    int *used;       /* [gpus] slots taken */
    double *share;   /* [gpus][slots] */
    moe_peak busiest, idlest; /* of all GPUs; of those with room */
    int64_t least_full;       /* no GPU without room has less */
    moe_replicas replicas;
} duplicate_state;

static int64_t idle_key(const duplicate_state *s, int g)
{
    return s->used[g] < s->slots ? -s->load[g] : INT64_MIN;
}

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    duplicate_state *s = state;
    const size_t g = (size_t)env->layout.gpus, e = (size_t)env->experts;
    const size_t n = g * (size_t)env->slots;
    int limit = ((const duplicate_params *)params)->max_copies;
    s->layout = env->layout;
    s->experts = env->experts;
    s->slots = env->slots;
    s->max_copies = limit > 0 ? limit : env->layout.gpus;
    moe_error local = {0};
    s->expert = moe_array_new(n, sizeof *s->expert, &local);
    s->pairs = moe_array_new(n, sizeof *s->pairs, &local);
    s->other = moe_array_new(n, sizeof *s->other, &local);
    s->share = moe_array_new(n, sizeof *s->share, &local);
    s->any = moe_array_new(e, sizeof *s->any, &local);
    s->copies = moe_array_new(e, sizeof *s->copies, &local);
    s->load = moe_array_new(g, sizeof *s->load, &local);
    s->used = moe_array_new(g, sizeof *s->used, &local);
    moe_peak_init(&s->busiest, 1, env->layout.gpus, &local);
    moe_peak_init(&s->idlest, 1, env->layout.gpus, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    return moe_pass(err, &local);
}

/* Give a GPU that has room another expert. @return the slot's number. */
static int place(duplicate_state *s, int e, int g)
{
    const int at = g * s->slots + s->used[g]++;
    s->expert[at] = (int16_t)e;
    s->pairs[at] = 0;
    s->other[at] = s->any[e];
    s->any[e] = at;
    s->copies[e]++;
    return at;
}

static void note_full(duplicate_state *s, int g)
{
    if (s->used[g] == s->slots && s->load[g] < s->least_full)
        s->least_full = s->load[g];
}

static void start_from_home(duplicate_state *s, const double *load)
{
    const int g_n = s->layout.gpus;
    s->least_full = INT64_MAX;
    for (int e = 0; e < s->experts; e++) {
        s->any[e] = -1;
        s->copies[e] = 0;
    }
    for (int g = 0; g < g_n; g++) {
        const int first = moe_layout_home_first(&s->layout, s->experts, g);
        const int n = moe_layout_home_count(&s->layout, s->experts, g);
        s->used[g] = 0;
        s->load[g] = 0;
        for (int e = first; e < first + n; e++) {
            const int at = place(s, e, g);
            s->pairs[at] = (int64_t)llround(load[e]);
            s->load[g] += s->pairs[at];
        }
        note_full(s, g);
        s->busiest.key[g] = s->load[g];
        s->idlest.key[g] = idle_key(s, g);
    }
    moe_peak_begin(&s->busiest);
    moe_peak_begin(&s->idlest);
}

/* @return the slot of an expert on a GPU, or -1. */
static int find(const duplicate_state *s, int e, int g)
{
    for (int at = g * s->slots; at < g * s->slots + s->used[g]; at++)
        if (s->expert[at] == e)
            return at;
    return -1;
}

/* @return whether an expert that h has load of may get one more copy. */
static bool can_copy(duplicate_state *s, int h)
{
    bool copyable = false;
    s->steps += (uint64_t)s->used[h];
    for (int at = h * s->slots; at < h * s->slots + s->used[h]; at++) {
        if (s->pairs[at] == 0)
            continue;
        copyable = copyable || s->copies[s->expert[at]] < s->max_copies;
        s->steps += (uint64_t)s->copies[s->expert[at]];
    }
    return copyable;
}

/* @return the idler one of two, of equals the first; c -1: g. */
static int idler(const duplicate_state *s, int c, int g)
{
    return c < 0 || s->load[g] < s->load[c] ||
                   (s->load[g] == s->load[c] && g < c)
               ? g
               : c;
}

/* The idlest GPU that can take something from h: one with room, if an expert
 * of h may be copied, or one that has an expert of h already; of these only
 * one without room can be idler. @return -1 when nothing can leave h. */
static int pick_gpu(duplicate_state *s, int h)
{
    int c = -1;
    const int open = moe_peak_first(&s->idlest, 0);
    if (can_copy(s, h) && s->used[open] < s->slots)
        c = open;
    if (c < 0 || s->load[c] >= s->least_full)
        for (int at = h * s->slots; at < h * s->slots + s->used[h]; at++)
            for (int i = s->pairs[at] > 0 ? s->any[s->expert[at]] : -1; i >= 0;
                 i = s->other[i])
                c = idler(s, c, i / s->slots);
    return c >= 0 && s->load[h] - s->load[c] > 1 ? c : -1;
}

/* @return the slot of the largest expert of h that c may take. */
static int pick_slot(duplicate_state *s, int h, int c)
{
    int best = -1;
    s->steps += (uint64_t)(s->used[h] + s->used[c]);
    for (int k = 0; k < s->used[h]; k++) {
        const int at = h * s->slots + k, e = s->expert[at];
        if (s->pairs[at] == 0 ||
            (best >= 0 &&
             (s->pairs[at] < s->pairs[best] ||
              (s->pairs[at] == s->pairs[best] && e > s->expert[best]))))
            continue;
        if ((s->copies[e] < s->max_copies && s->used[c] < s->slots) ||
            find(s, e, c) >= 0)
            best = at;
    }
    return best;
}

static void move(duplicate_state *s, int from, int h, int c)
{
    const int64_t half = (s->load[h] - s->load[c] + 1) / 2;
    const int64_t n = s->pairs[from] < half ? s->pairs[from] : half;
    int to = find(s, s->expert[from], c);
    if (to < 0)
        to = place(s, s->expert[from], c);
    s->pairs[from] -= n;
    s->pairs[to] += n;
    s->load[h] -= n;
    s->load[c] += n;
    note_full(s, h);
    note_full(s, c);
    moe_peak_set(&s->busiest, h, s->load[h]);
    moe_peak_set(&s->busiest, c, s->load[c]);
    moe_peak_set(&s->idlest, h, idle_key(s, h));
    moe_peak_set(&s->idlest, c, idle_key(s, c));
}

/* Copies follow the homes in the order of their experts. */
static void sort_copies(duplicate_state *s, int g)
{
    const int base = g * s->slots;
    const int homes = moe_layout_home_count(&s->layout, s->experts, g);
    for (int i = base + homes + 1; i < base + s->used[g]; i++) {
        const int16_t e = s->expert[i];
        const int64_t n = s->pairs[i];
        int at = i;
        for (; at > base + homes && s->expert[at - 1] > e; at--) {
            s->expert[at] = s->expert[at - 1];
            s->pairs[at] = s->pairs[at - 1];
        }
        s->expert[at] = e;
        s->pairs[at] = n;
    }
}

static void write_plan(duplicate_state *s, moe_plan_layer *next)
{
    for (int g = 0; g < s->layout.gpus; g++) {
        sort_copies(s, g);
        for (int k = 0; k < s->slots; k++) {
            const int at = g * s->slots + k;
            next->expert[at] = k < s->used[g] ? s->expert[at] : -1;
            next->quota[at] = 0;
            s->share[at] = k < s->used[g] ? (double)s->pairs[at] : 0.0;
        }
    }
    moe_plan_layer_set_quota(next, s->share, &s->replicas);
}

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    duplicate_state *s = state;
    const double *load = task->load;
    s->steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next))
        return MOE_OK;
    s->steps += moe_steps_to_write(next->gpus, next->slots);
    start_from_home(s, load);
    for (;;) {
        const int h = moe_peak_first(&s->busiest, 0);
        const int c = pick_gpu(s, h);
        if (c < 0)
            break;
        move(s, pick_slot(s, h, c), h, c);
    }
    write_plan(s, next);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const duplicate_state *)state)->steps;
}

static void fini(void *state)
{
    duplicate_state *s = state;
    free(s->expert);
    free(s->pairs);
    free(s->other);
    free(s->any);
    free(s->load);
    free(s->copies);
    free(s->used);
    free(s->share);
    moe_peak_fini(&s->busiest);
    moe_peak_fini(&s->idlest);
    moe_replicas_fini(&s->replicas);
}

const moe_planner moe_planner_duplicate = {
    .name = "duplicate",
    .help = "MoE-GPS Algorithm 1: copy the busiest GPU's largest expert to "
            "the idlest",
    .opts = options,
    .params_size = sizeof(duplicate_params),
    .state_size = sizeof(duplicate_state),
    .plans = true,
    .copies = true,
    .keeps_home = true,
    .init = init,
    .plan = plan,
    .steps = steps,
    .step_weight = 0.65,
    .fini = fini,
};
