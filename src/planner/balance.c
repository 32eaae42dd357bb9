/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eplb.h"
#include "hedge.h"
#include "keep.h"
#include "moegps/mem.h"
#include "rename.h"
#include "repair.h"
#include "steps.h"

/* Ours: shares first, replicas only where shares do not do.
 *
 * Replicas carry quotas here, so the placement in force is rarely at its end
 * when loads change: first its loads are divided anew, exactly (share.h), and
 * if that is balance to within `tolerance` no weight moves. Otherwise it is
 * repaired: GPUs above the mean that no chain of replicas relieves get a
 * replica of their largest expert where most is free, or swap an expert with
 * a GPU below. When that ends short of the bound, the placement of EPLB is
 * repaired in the same way and taken if it is better; so this is never less
 * balanced than EPLB. GPUs are then renamed so that least has to travel.
 *
 * A replica that a plan does not need any more stays where it is, with quota
 * 0, until its slot is wanted: it costs nothing and may be needed again. */

static const double FINE = 1e-6; /* of the mean load: not worth a step */

typedef struct {
    double tolerance, price;
    int groups;
    bool fill;
} balance_params;

static const moe_opt options[] = {
    {.key = "tolerance",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.01",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(balance_params, tolerance),
     .help = "nothing moves while the busiest GPU is this close to the bound; "
             "0 where the prediction never changes"},
    {.key = "price",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.004",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(balance_params, price),
     .help =
         "max / mean that a changed slot on every GPU must save, where past "
         "loads are weighed"},
    {.key = "groups",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "1",
     .min = 1,
     .max = 32767,
     MOE_OPT_AT(balance_params, groups),
     .help = "groups of experts, each of which stays on one node; 1: free"},
    {.key = "fill",
     .type = MOE_OPT_BOOL,
     .initial = "no",
     MOE_OPT_AT(balance_params, fill),
     .help = "replicas in slots left over, too: a plan that ages better"},
    {.key = NULL}};

typedef struct {
    moe_layout layout;
    double tolerance;
    bool fill, constant;
    int domains;   /* nodes that experts do not leave; 1: all GPUs */
    moe_eplb eplb; /* with domains as its nodes */
    moe_division division;
    moe_samples samples;
    moe_hedge *hedge; /* NULL: with domains or minmax */
    double *usual;    /* [experts] weighted mean of past loads */
    moe_share *share; /* being worked on */
    moe_repair repair;
    int64_t fine;
    int64_t *load;    /* [experts] */
    int64_t *target;  /* [domains] load of a GPU at best */
    int *home;        /* [groups] domain, in the placement in force */
    int16_t *start;   /* [gpus][slots] placement to begin with */
    int16_t *renamed; /* [gpus][slots] */
    int16_t *kept;    /* [gpus][slots] the better placement so far */
    int64_t *parts;   /* [gpus][slots] of it */
    moe_rename rename;
    double *quota; /* [gpus][slots] */
    moe_replicas replicas;
} balance_state;

static size_t n_slots(const balance_state *s)
{
    return (size_t)s->share->gpus * (size_t)s->share->slots;
}

static moe_status make_eplb(balance_state *s, const moe_planner_env *env,
                            int groups, moe_error *err)
{
    const int nodes = moe_layout_nodes(&env->layout);
    s->domains = groups > 1 ? nodes : 1;
    if (groups > 1 && env->layout.gpus % nodes != 0)
        return moe_fail(err, MOE_USAGE,
                        "balance: groups need nodes of equal size, not %d "
                        "GPUs on %d nodes",
                        env->layout.gpus, nodes);
    const moe_eplb_shape shape = {.experts = env->experts,
                                  .groups = groups,
                                  .nodes = s->domains,
                                  .gpus = env->layout.gpus,
                                  .slots = env->slots};
    moe_error local = {0};
    if (moe_eplb_init(&s->eplb, &shape, &local) == MOE_OK)
        return MOE_OK;
    return moe_fail(err, local.status, "balance: %s", local.text);
}

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    balance_state *s = state;
    const balance_params *p = params;
    const size_t gpus = (size_t)env->layout.gpus;
    const size_t n = gpus * (size_t)env->slots, e = (size_t)env->experts;
    s->layout = env->layout;
    s->tolerance = env->constant ? 0 : p->tolerance;
    s->fill =
        p->fill || (env->constant && env->division == MOE_DIVISION_MINMAX);
    s->constant = env->constant;
    if (make_eplb(s, env, p->groups, err) != MOE_OK)
        return err != NULL ? err->status : MOE_USAGE;
    moe_error local = {0};
    s->share =
        moe_share_new(env->experts, env->layout.gpus, env->slots, &local);
    if (s->share != NULL)
        moe_repair_init(&s->repair, s->share, s->domains, &local);
    s->load = moe_array_new(e, sizeof *s->load, &local);
    s->target = moe_array_new((size_t)s->domains, sizeof *s->target, &local);
    s->home = moe_array_new((size_t)p->groups, sizeof *s->home, &local);
    s->start = moe_array_new(n, sizeof *s->start, &local);
    s->renamed = moe_array_new(n, sizeof *s->renamed, &local);
    s->kept = moe_array_new(n, sizeof *s->kept, &local);
    s->parts = moe_array_new(n, sizeof *s->parts, &local);
    moe_rename_init(&s->rename, env->layout.gpus, env->slots, &local);
    s->quota = moe_array_new(n, sizeof *s->quota, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    moe_samples_init(&s->samples, env->experts, env->layout.gpus, &local);
    s->usual = moe_array_new(e, sizeof *s->usual, &local);
    s->division = env->division;
    const moe_hedge_params hedge = {.experts = env->experts,
                                    .gpus = env->layout.gpus,
                                    .slots = env->slots,
                                    .price = env->constant ? 0 : p->price,
                                    .thorough = env->constant,
                                    .fit = env->division == MOE_DIVISION_QUOTA};
    if (s->domains == 1 && env->division != MOE_DIVISION_MINMAX)
        s->hedge = moe_hedge_new(&hedge, &local);
    return moe_pass(err, &local);
}

static void fini(void *state)
{
    balance_state *s = state;
    moe_eplb_fini(&s->eplb);
    moe_repair_fini(&s->repair);
    moe_share_free(s->share);
    moe_hedge_free(s->hedge);
    moe_samples_fini(&s->samples);
    free(s->usual);
    free(s->load);
    free(s->target);
    free(s->home);
    free(s->start);
    free(s->renamed);
    free(s->kept);
    free(s->parts);
    moe_rename_fini(&s->rename);
    free(s->quota);
    moe_replicas_fini(&s->replicas);
}

/* ---- loads and limits ---- */

static int domain_of(const balance_state *s, int gpu)
{
    return moe_repair_domain(s->share, s->domains, gpu);
}

/* Place e->group_at names, as domains: group g is on group_at[g] / per. */
static int domain_of_group(const balance_state *s, int group)
{
    return s->eplb.group_at[group] / (s->eplb.shape.groups / s->domains);
}

/* What the busiest GPU of each domain has at best: the mean; or, where few
 * slots are left over, what cannot be divided any further. */
static void set_targets(balance_state *s)
{
    const int gpus = s->share->gpus / s->domains;
    const int experts = s->share->experts / s->domains;
    const int size = s->share->experts / s->eplb.shape.groups;
    int copies = gpus * s->share->slots - experts + 1;
    copies = copies < gpus ? copies : gpus;
    int64_t all = 0;
    for (int d = 0; d < s->domains; d++) {
        int64_t sum = 0, most = 0;
        for (int e = 0; e < s->share->experts; e++)
            if (s->domains == 1 || domain_of_group(s, e / size) == d) {
                sum += s->load[e];
                most = s->load[e] > most ? s->load[e] : most;
            }
        s->target[d] = (sum + gpus - 1) / gpus;
        most = (most + copies - 1) / copies;
        s->target[d] = most > s->target[d] ? most : s->target[d];
        all += sum;
    }
    s->fine = (int64_t)(FINE * (double)all / s->share->gpus);
}

static void set_limits(balance_state *s, double slack)
{
    for (int g = 0; g < s->share->gpus; g++)
        s->share->limit[g] =
            (int64_t)((double)s->target[domain_of(s, g)] * (1 + slack));
}

/* ---- repair ---- */

/* @return load of the busiest GPU. */
static int64_t repair(balance_state *s)
{
    set_limits(s, 0);
    moe_repair_run(&s->repair, s->fine);
    return moe_share_minmax(s->share);
}

/* ---- where to start ---- */

static int64_t most_of(const int64_t *x, int n)
{
    int64_t most = 0;
    for (int i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* Keep groups where they are, if each is on one node and nodes have equally
 * many. @return whether that is so. */
static bool keep_groups(balance_state *s, const moe_plan_layer *current)
{
    const moe_eplb_shape *x = &s->eplb.shape;
    const int size = x->experts / x->groups, per = x->groups / s->domains;
    for (int g = 0; g < x->groups; g++)
        s->home[g] = -1;
    for (size_t t = 0; t < n_slots(s); t++) {
        if (current->expert[t] < 0)
            continue;
        const int d = domain_of(s, (int)t / current->slots);
        int *home = &s->home[current->expert[t] / size];
        if (*home >= 0 && *home != d)
            return false;
        *home = d;
    }
    for (int d = 0; d < s->domains; d++) {
        int n = 0;
        for (int g = 0; g < x->groups; g++)
            if (s->home[g] == d)
                s->eplb.group_at[g] = d * per + n++;
        if (n != per)
            return false;
    }
    return true;
}

/* What a GPU has less on average when its node gives group a for b. */
static int64_t relief_of(const balance_state *s, int a, int b)
{
    const moe_eplb_shape *x = &s->eplb.shape;
    const int size = x->experts / x->groups;
    int64_t d = 0;
    for (int i = 0; i < size; i++)
        d += s->load[a * size + i] - s->load[b * size + i];
    return d / (x->gpus / s->domains);
}

/* Exchange two groups so that the fullest node gets less.
 * @return false if no exchange does that. */
static bool exchange_groups(balance_state *s)
{
    const int groups = s->eplb.shape.groups;
    int *at = s->eplb.group_at, best_a = -1, best_b = -1;
    const int64_t full = most_of(s->target, s->domains);
    int64_t best = full;
    for (int a = 0; a < groups; a++)
        for (int b = 0; b < groups; b++) {
            s->share->steps += (uint64_t)(s->share->experts / groups);
            const int from = domain_of_group(s, a), to = domain_of_group(s, b);
            if (from == to || s->target[from] != full)
                continue;
            const int64_t d = relief_of(s, a, b);
            const int64_t x = full - d, y = s->target[to] + d;
            if (d > 0 && (x > y ? x : y) < best) {
                best = x > y ? x : y;
                best_a = a;
                best_b = b;
            }
        }
    if (best_a < 0)
        return false;
    const int place = at[best_a];
    at[best_a] = at[best_b];
    at[best_b] = place;
    set_targets(s);
    return true;
}

static void place_groups(balance_state *s, const double *load)
{
    moe_eplb_place_groups(&s->eplb, load);
    set_targets(s);
    for (int i = 0; i < s->eplb.shape.groups && exchange_groups(s); i++) {
    }
}

/* Groups to nodes: as they are, if that is about as good as possible.
 * @return whether the placement in force can be kept. */
static bool choose_domains(balance_state *s, const double *load,
                           const moe_plan_layer *current)
{
    place_groups(s, load);
    if (s->domains == 1)
        return true;
    const int64_t best = most_of(s->target, s->domains);
    if (keep_groups(s, current)) {
        set_targets(s);
        if ((double)most_of(s->target, s->domains) <=
            (double)best * (1 + s->tolerance))
            return true;
    }
    place_groups(s, load);
    return false;
}

/* Once per GPU is enough. */
static void drop_doubles(balance_state *s)
{
    const int slots = s->share->slots;
    for (int base = 0; base < (int)n_slots(s); base += slots)
        for (int k = base; k < base + slots; k++)
            for (int j = base; j < k; j++)
                if (s->start[j] == s->start[k])
                    s->start[k] = -1;
}

static int64_t begin_anew(balance_state *s, const double *load,
                          const moe_plan_layer *current)
{
    s->eplb.steps = 0;
    moe_eplb_fill_nodes(&s->eplb, load, s->start);
    s->share->steps += s->eplb.steps;
    drop_doubles(s);
    moe_replicas_index(&s->replicas, current);
    s->rename.steps = 0;
    moe_rename_gpus(&s->rename, &s->replicas, s->start,
                    s->share->gpus / s->domains, s->renamed);
    s->share->steps += s->rename.steps;
    moe_share_begin(s->share, s->renamed, s->load);
    return repair(s);
}

/* ---- the planner ---- */

static bool holds(const moe_plan_layer *layer, int gpu, int expert)
{
    for (int k = gpu * layer->slots; k < (gpu + 1) * layer->slots; k++)
        if (layer->expert[k] == expert)
            return true;
    return false;
}

/* A replica without a part is only worth keeping where it is already. */
static void drop_idle(moe_share *x, const moe_plan_layer *current)
{
    for (int t = 0; t < x->gpus * x->slots; t++) {
        const int e = x->expert[t];
        if (e >= 0 && x->part[t] == 0 && x->copies[e] > 1 &&
            !holds(current, t / x->slots, e))
            moe_share_take(x, t);
    }
}

static void write_plan(balance_state *s, moe_plan_layer *next)
{
    for (size_t t = 0; t < n_slots(s); t++) {
        next->expert[t] = s->kept[t];
        next->quota[t] = 0;
        s->quota[t] = (double)s->parts[t];
    }
    moe_plan_layer_set_quota(next, s->quota, &s->replicas);
}

static void finish(balance_state *s, const moe_plan_layer *current)
{
    if (s->fill)
        moe_repair_fill(&s->repair, current);
    else
        drop_idle(s->share, current);
}

/* Work from the placement in force. @return whether the result will do. */
static bool mend(balance_state *s, const moe_plan_layer *current,
                 int64_t *busiest)
{
    moe_share *x = s->share;
    moe_share_begin(x, current->expert, s->load);
    set_limits(s, s->tolerance);
    if (moe_share_push(x) == 0) {
        *busiest = moe_share_minmax(x);
        return true;
    }
    if (s->fill)
        moe_repair_thin(&s->repair, s->target);
    *busiest = repair(s);
    return *busiest <= most_of(s->target, s->domains) + s->fine;
}

static void keep(balance_state *s, const moe_plan_layer *current)
{
    finish(s, current);
    memcpy(s->kept, s->share->expert, n_slots(s) * sizeof *s->kept);
    memcpy(s->parts, s->share->part, n_slots(s) * sizeof *s->parts);
}

/* Keep a new placement if it is better than `busiest`; with other groups on
 * the nodes than EPLB would put there, its choice is tried as well. */
static void renew(balance_state *s, const double *load,
                  const moe_plan_layer *current, int64_t busiest)
{
    const int64_t target = most_of(s->target, s->domains);
    if (s->domains == 1 &&
        (double)busiest <= (double)target * (1 + s->tolerance))
        return; /* no placement is better by more than the tolerance */
    int64_t anew = begin_anew(s, load, current);
    if ((double)anew * (1 + s->tolerance) < (double)busiest) {
        keep(s, current);
        busiest = anew;
    }
    if (s->domains == 1 || busiest <= target + s->fine)
        return;
    moe_eplb_place_groups(&s->eplb, load);
    set_targets(s);
    anew = begin_anew(s, load, current);
    if ((double)anew * (1 + s->tolerance) < (double)busiest)
        keep(s, current);
}

/* Where past loads are known, plan for them: the search over samples, unless
 * the newest alone counts and shares can be fitted to it exactly.
 * @return whether `next` is done; else *load is what to plan for. */
static bool plan_for_past(balance_state *s, const moe_planner_task *task,
                          const double **load, moe_plan_layer *next)
{
    moe_samples *x = &s->samples;
    if (task->n_past < 2 && s->division != MOE_DIVISION_EQUAL)
        return false;
    if (!moe_samples_choose(x, task))
        return false;
    s->share->steps += x->steps;
    if (s->hedge != NULL && (s->division == MOE_DIVISION_EQUAL || x->n > 1)) {
        s->share->steps +=
            moe_hedge_plan(s->hedge, x, task->current, next->expert, s->quota);
        memset(next->quota, 0, n_slots(s) * sizeof *next->quota);
        moe_plan_layer_set_quota(next, s->quota, &s->replicas);
        return true;
    }
    for (int e = 0; e < s->share->experts; e++) {
        s->usual[e] = 0;
        for (int i = 0; i < x->n; i++)
            s->usual[e] +=
                (double)x->weight[i] * (double)x->load[e * x->stride + i];
    }
    *load = s->usual;
    return false;
}

/* What moves, moves once, and batches scatter about the forecast for ever: all
 * slots are used, with parts as even as the load lets them be, which is what
 * scatters least. @return whether `next` is done. */
static bool plan_for_ever(balance_state *s, const moe_planner_task *task,
                          moe_plan_layer *next)
{
    const moe_planner_task forecast = {.load = task->load};
    if (!s->constant || s->hedge == NULL || s->division == MOE_DIVISION_EQUAL ||
        !moe_samples_choose(&s->samples, &forecast))
        return false;
    s->share->steps +=
        s->samples.steps + moe_hedge_plan(s->hedge, &s->samples, task->current,
                                          next->expert, s->quota);
    moe_share_scale(task->load, s->share->experts, s->load);
    moe_share_begin(s->share, next->expert, s->load);
    moe_share_minmax(s->share);
    moe_repair_fill(&s->repair, NULL);
    memcpy(s->kept, s->share->expert, n_slots(s) * sizeof *s->kept);
    memcpy(s->parts, s->share->part, n_slots(s) * sizeof *s->parts);
    write_plan(s, next);
    return true;
}

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    balance_state *s = state;
    const double *load = task->load;
    const moe_plan_layer *current = task->current;
    int64_t busiest = INT64_MAX;
    bool done = false;
    s->share->steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next))
        return MOE_OK;
    s->share->steps += moe_steps_to_write(next->gpus, next->slots);
    if (plan_for_ever(s, task, next) || plan_for_past(s, task, &load, next))
        return MOE_OK;
    moe_share_scale(load, s->share->experts, s->load);
    if (choose_domains(s, load, current)) {
        done = mend(s, current, &busiest);
        keep(s, current);
    }
    if (!done)
        renew(s, load, current, busiest);
    write_plan(s, next);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const balance_state *)state)->share->steps;
}

const moe_planner moe_planner_balance = {
    .name = "balance",
    .help = "for past loads and the split in use: few replicas and swaps",
    .opts = options,
    .params_size = sizeof(balance_params),
    .state_size = sizeof(balance_state),
    .plans = true,
    .copies = true,
    .init = init,
    .plan = plan,
    .steps = steps,
    .step_weight = 0.7,
    .fini = fini,
};
