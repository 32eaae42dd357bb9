/* SPDX-License-Identifier: Apache-2.0 */
#include "eplb.h"

#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "moegps/mem.h"
#include "moegps/planner.h"
#include "steps.h"

/* ---- the algorithm ---- */

moe_status moe_eplb_init(moe_eplb *e, const moe_eplb_shape *shape,
                         moe_error *err)
{
    const moe_eplb_shape *x = shape;
    *e = (moe_eplb){.shape = *x};
    if (x->experts % x->groups != 0)
        return moe_fail(err, MOE_USAGE, "%d groups do not divide %d experts",
                        x->groups, x->experts);
    if (x->gpus % x->nodes != 0)
        return moe_fail(err, MOE_USAGE, "%d nodes do not divide %d GPUs",
                        x->nodes, x->gpus);
    if (x->groups % x->nodes != 0)
        return moe_fail(err, MOE_USAGE, "%d nodes do not divide %d groups",
                        x->nodes, x->groups);
    const size_t experts = (size_t)x->experts, gpus = (size_t)x->gpus;
    const size_t slots = gpus * (size_t)x->slots;
    if (slots < experts)
        return moe_fail(err, MOE_USAGE, "%zu slots are too few for %d experts",
                        slots, x->experts);
    moe_error local = {0};
    e->count = moe_array_new(experts, sizeof *e->count, &local);
    e->at = moe_array_new(experts, sizeof *e->at, &local);
    e->group_at = moe_array_new((size_t)x->groups, sizeof(int), &local);
    e->expert_of = moe_array_new(slots, sizeof *e->expert_of, &local);
    e->weight = moe_array_new(slots, sizeof *e->weight, &local);
    e->mean = moe_array_new(slots, sizeof *e->mean, &local);
    e->item = moe_array_new(slots, sizeof *e->item, &local);
    e->spare = moe_array_new(slots, sizeof *e->spare, &local);
    e->pack_weight = moe_array_new(gpus, sizeof *e->pack_weight, &local);
    e->pack_items = moe_array_new(gpus, sizeof *e->pack_items, &local);
    e->heap = moe_array_new(gpus, sizeof *e->heap, &local);
    e->place = moe_array_new(slots, sizeof *e->place, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_eplb_fini(e);
    return moe_pass(err, &local);
}

void moe_eplb_fini(moe_eplb *e)
{
    free(e->count);
    free(e->at);
    free(e->group_at);
    free(e->expert_of);
    free(e->weight);
    free(e->mean);
    free(e->item);
    free(e->spare);
    free(e->pack_weight);
    free(e->pack_items);
    free(e->heap);
    free(e->place);
    *e = (moe_eplb){0};
}

/* A merge sort, heaviest first; equal ones keep their order. Ours, because
 * qsort() is neither stable nor free of allocation. */
static void sort_items(moe_eplb_item *item, moe_eplb_item *spare, int n)
{
    if (n < 2)
        return;
    const int half = n / 2;
    sort_items(item, spare, half);
    sort_items(item + half, spare, n - half);
    if (item[half - 1].weight >= item[half].weight)
        return;
    memcpy(spare, item, (size_t)half * sizeof *item);
    for (int i = 0, j = half, k = 0; i < half; k++)
        item[k] = j == n || spare[i].weight >= item[j].weight ? spare[i++]
                                                              : item[j++];
}

/* Equal packs: the lower number first. */
static bool is_lighter(const moe_eplb *e, int a, int b)
{
    return e->pack_weight[a] < e->pack_weight[b] ||
           (e->pack_weight[a] == e->pack_weight[b] && a < b);
}

/* The pack on top of the heap, of m packs with room, is not the lightest any
 * more. */
static void sift_pack(moe_eplb *e, int m)
{
    const int pack = e->heap[0];
    int at = 0;
    for (int child; (child = 2 * at + 1) < m; at = child) {
        if (child + 1 < m && is_lighter(e, e->heap[child + 1], e->heap[child]))
            child++;
        if (is_lighter(e, pack, e->heap[child]))
            break;
        e->heap[at] = e->heap[child];
        e->steps += 2;
    }
    e->heap[at] = pack;
}

/* Pack n items of e->weight into m packs.
 * @param place_out  [n] pack * (n / m) + rank in the pack, of each item. */
static void pack(moe_eplb *e, int n, int m, int *place_out)
{
    const int room = n / m;
    e->steps += 8 * (uint64_t)n;
    for (int i = 0; i < n; i++)
        e->item[i] = (moe_eplb_item){e->weight[i], i};
    if (room > 1)
        sort_items(e->item, e->spare, n);
    for (int p = 0; p < m; p++) {
        e->pack_weight[p] = 0;
        e->pack_items[p] = 0;
        e->heap[p] = p;
    }
    for (int i = 0, open = m; i < n; i++) {
        const int best = room > 1 ? e->heap[0] : i;
        place_out[e->item[i].id] = best * room + e->pack_items[best]++;
        e->pack_weight[best] += e->item[i].weight;
        if (room > 1 && e->pack_items[best] == room)
            e->heap[0] = e->heap[--open];
        if (room > 1 && open > 0)
            sift_pack(e, open);
    }
}

void moe_eplb_place_groups(moe_eplb *e, const double *load)
{
    const moe_eplb_shape *x = &e->shape;
    const int size = x->experts / x->groups;
    for (int g = 0; g < x->groups; g++) {
        e->weight[g] = 0;
        for (int i = 0; i < size; i++)
            e->weight[g] += load[g * size + i];
    }
    pack(e, x->groups, x->nodes, e->group_at);
}

/* Replicas of one node's experts: e->expert_of, e->weight. */
static void replicate(moe_eplb *e, const double *load, const int *expert,
                      int experts, int replicas)
{
    for (int i = 0; i < experts; i++) {
        e->expert_of[i] = expert[i];
        e->count[expert[i]] = 1;
        e->mean[i] = load[expert[i]];
    }
    e->steps += (uint64_t)(replicas - experts + 1) * (uint64_t)experts;
    for (int r = experts; r < replicas; r++) {
        int most = 0;
        for (int i = 1; i < experts; i++)
            if (e->mean[i] > e->mean[most])
                most = i;
        const int x = expert[most];
        e->expert_of[r] = x;
        e->mean[most] = load[x] / ++e->count[x];
    }
    for (int r = 0; r < replicas; r++)
        e->weight[r] = load[e->expert_of[r]] / e->count[e->expert_of[r]];
}

void moe_eplb_fill_nodes(moe_eplb *e, const double *load, int16_t *expert_out)
{
    const moe_eplb_shape *x = &e->shape;
    const int size = x->experts / x->groups;
    const int experts = x->experts / x->nodes;
    const int gpus = x->gpus / x->nodes, replicas = gpus * x->slots;
    for (int g = 0; g < x->groups; g++)
        for (int i = 0; i < size; i++)
            e->at[e->group_at[g] * size + i] = g * size + i;
    for (int node = 0; node < x->nodes; node++) {
        replicate(e, load, e->at + node * experts, experts, replicas);
        pack(e, replicas, gpus, e->place);
        for (int r = 0; r < replicas; r++)
            expert_out[node * replicas + e->place[r]] =
                (int16_t)e->expert_of[r];
    }
}

void moe_eplb_place(moe_eplb *e, const double *load, int16_t *expert_out)
{
    moe_eplb_place_groups(e, load);
    moe_eplb_fill_nodes(e, load, expert_out);
}

/* ---- the planner ---- */

enum { AUTO, HIERARCHICAL, GLOBAL };
static const char *const policies[] = {"auto", "hierarchical", "global", NULL};

typedef struct {
    int policy, groups;
} eplb_params;

static const moe_opt options[] = {
    {.key = "policy",
     .type = MOE_OPT_ENUM,
     .initial = "auto",
     .choices = policies,
     MOE_OPT_AT(eplb_params, policy),
     .help = "auto: hierarchical where nodes divide groups and GPUs"},
    {.key = "groups",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "1",
     .min = 1,
     .max = 32767,
     MOE_OPT_AT(eplb_params, groups),
     .help = "groups of experts that stay on one node, if hierarchical"},
    {.key = NULL}};

typedef struct {
    moe_eplb eplb;
    int16_t *raw;  /* [gpus][slots] */
    double *share; /* [gpus][slots] */
    moe_replicas replicas;
} eplb_state;

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    eplb_state *s = state;
    const eplb_params *p = params;
    const int nodes = moe_layout_nodes(&env->layout), gpus = env->layout.gpus;
    /* nodes that are not all full have no hierarchy */
    const bool even = nodes == 1 || gpus % env->layout.gpus_per_node == 0;
    if (p->policy == HIERARCHICAL && !even)
        return moe_fail(err, MOE_USAGE,
                        "eplb: %d GPUs a node do not divide %d GPUs",
                        env->layout.gpus_per_node, gpus);
    const bool levels = p->policy == HIERARCHICAL ||
                        (p->policy == AUTO && even && p->groups % nodes == 0);
    const moe_eplb_shape shape = {.experts = env->experts,
                                  .groups = levels ? p->groups : 1,
                                  .nodes = levels ? nodes : 1,
                                  .gpus = gpus,
                                  .slots = env->slots};
    const size_t n = (size_t)gpus * (size_t)env->slots;
    moe_error local = {0};
    if (moe_eplb_init(&s->eplb, &shape, &local) != MOE_OK)
        return moe_fail(err, local.status, "eplb: %s", local.text);
    s->raw = moe_array_new(n, sizeof *s->raw, &local);
    s->share = moe_array_new(n, sizeof *s->share, &local);
    moe_replicas_init(&s->replicas, env->experts, gpus, env->slots, &local);
    return moe_pass(err, &local);
}

/* The original counts replicas, wherever they are: two on one GPU become one
 * slot with the share of two, and the other slot stays empty. */
static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    eplb_state *s = state;
    const double *load = task->load;
    s->eplb.steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next)) {
        moe_eplb_place(&s->eplb, task->last, s->raw);
        return MOE_OK;
    }
    s->eplb.steps += moe_steps_to_write(next->gpus, next->slots);
    moe_eplb_place(&s->eplb, load, s->raw);
    for (int g = 0; g < next->gpus; g++) {
        const int base = g * next->slots;
        for (int k = base; k < base + next->slots; k++) {
            int first = base;
            while (s->raw[first] != s->raw[k])
                first++;
            next->expert[k] = first == k ? s->raw[k] : -1;
            next->quota[k] = 0;
            s->share[k] = 0;
            s->share[first] += 1;
        }
    }
    moe_plan_layer_set_quota(next, s->share, &s->replicas);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const eplb_state *)state)->eplb.steps;
}

static const int16_t *raw(const void *state)
{
    return ((const eplb_state *)state)->raw;
}

static void fini(void *state)
{
    eplb_state *s = state;
    moe_eplb_fini(&s->eplb);
    free(s->raw);
    free(s->share);
    moe_replicas_fini(&s->replicas);
}

const moe_planner moe_planner_eplb = {
    .name = "eplb",
    .help = "DeepSeek's load balancer: replicas by load, packed to GPUs",
    .opts = options,
    .params_size = sizeof(eplb_params),
    .state_size = sizeof(eplb_state),
    .plans = true,
    .copies = true,
    .init = init,
    .plan = plan,
    .raw = raw,
    .steps = steps,
    .step_weight = 0.4,
    .fini = fini,
};
