/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/regret.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "share_internal.h"

/* Planners whose best plan is the best known, with the option that lets each
 * do its utmost. EPLB's policy "auto" is the global one without groups. */
static const struct {
    const char *planner, *key, *value;
} rivals[] = {{"balance", "tolerance", "0"},
              {"eplb", "policy", "global"},
              {"duplicate", "max_copies", "0"}};

enum { N_RIVALS = sizeof rivals / sizeof *rivals };

struct moe_regret {
    moe_share *share;
    int64_t *load;       /* [experts] scaled */
    double *sorted;      /* [experts] */
    int *copies;         /* [experts] */
    moe_plan home, next; /* one layer each */
    const moe_planner *planner[N_RIVALS];
    void *params[N_RIVALS], *state[N_RIVALS];
};

static void make_rival(moe_regret *r, int i, const moe_planner_env *env,
                       moe_error *err)
{
    const moe_planner *p = moe_planner_find(rivals[i].planner);
    r->params[i] = moe_array_new(1, p->params_size, err);
    if (err->status != MOE_OK)
        return;
    r->planner[i] = p;
    moe_opt_defaults(p->opts, r->params[i]);
    moe_opt_parse(moe_opt_find(p->opts, rivals[i].key), rivals[i].value,
                  r->params[i], err);
    if (err->status == MOE_OK)
        r->state[i] = moe_planner_new(p, env, r->params[i], err);
}

static void set_up(moe_regret *r, const moe_planner_env *env, moe_error *err)
{
    const int e = env->experts, g = env->layout.gpus;
    r->share = moe_share_new(e, g, env->slots, err);
    r->load = moe_array_new((size_t)e, sizeof *r->load, err);
    r->sorted = moe_array_new((size_t)e, sizeof *r->sorted, err);
    r->copies = moe_array_new((size_t)e, sizeof *r->copies, err);
    moe_plan_init(&r->home, 1, e, g, env->slots, err);
    moe_plan_init(&r->next, 1, e, g, env->slots, err);
    if (err->status == MOE_OK)
        moe_plan_set_home(&r->home, &env->layout);
    for (int i = 0; i < N_RIVALS && err->status == MOE_OK; i++)
        make_rival(r, i, env, err);
}

moe_regret *moe_regret_new(const moe_planner_env *env, moe_error *err)
{
    moe_error local = {0};
    moe_regret *r = moe_array_new(1, sizeof *r, &local);
    if (r != NULL)
        set_up(r, env, &local);
    if (local.status == MOE_OK)
        return r;
    moe_error_prefix(&local, "regret");
    moe_pass(err, &local);
    moe_regret_free(r);
    return NULL;
}

void moe_regret_free(moe_regret *r)
{
    if (r == NULL)
        return;
    moe_share_free(r->share);
    moe_plan_fini(&r->home);
    moe_plan_fini(&r->next);
    for (int i = 0; i < N_RIVALS; i++) {
        moe_planner_free(r->planner[i], r->state[i]);
        free(r->params[i]);
    }
    free(r->load);
    free(r->sorted);
    free(r->copies);
    free(r);
}

/* Heap sort, largest first: no allocation. */
static void sift(double *x, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && x[child + 1] < x[child])
            child++;
        if (x[at] <= x[child])
            return;
        const double swap = x[at];
        x[at] = x[child];
        x[child] = swap;
    }
}

static void sort_down(double *x, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(x, i, n);
    for (size_t end = n; end-- > 1;) {
        const double swap = x[0];
        x[0] = x[end];
        x[end] = swap;
        sift(x, 0, end);
    }
}

double moe_regret_bound(moe_regret *r, const double *load)
{
    const int n = r->home.experts, gpus = r->home.gpus;
    const int spare = gpus * r->home.slots - n;
    double bound = 0, sum = 0;
    memcpy(r->sorted, load, (size_t)n * sizeof *load);
    sort_down(r->sorted, (size_t)n);
    for (int k = 1; k <= n; k++) {
        sum += r->sorted[k - 1];
        const int holders = spare + k < gpus ? spare + k : gpus;
        bound = fmax(bound, sum / holders);
    }
    return bound;
}

static double busiest_gpu(moe_regret *r, const moe_plan_layer *layer,
                          const double *load, bool equal)
{
    double most = 0;
    memset(r->copies, 0, (size_t)layer->experts * sizeof *r->copies);
    for (int k = 0; k < layer->gpus * layer->slots; k++)
        if (layer->expert[k] >= 0)
            r->copies[layer->expert[k]]++;
    for (int g = 0; g < layer->gpus; g++) {
        double sum = 0;
        for (int k = g * layer->slots; k < (g + 1) * layer->slots; k++) {
            const int e = layer->expert[k];
            if (e >= 0)
                sum += equal ? load[e] / r->copies[e]
                             : load[e] * layer->quota[k] / MOE_QUOTA_ONE;
        }
        most = fmax(most, sum);
    }
    return most;
}

double moe_regret_busiest(moe_regret *r, const moe_plan_layer *layer,
                          const double *load, moe_division by)
{
    if (by != MOE_DIVISION_MINMAX)
        return busiest_gpu(r, layer, load, by == MOE_DIVISION_EQUAL);
    const int bits = moe_share_scale(load, layer->experts, r->load);
    moe_share_begin(r->share, layer->expert, r->load);
    return ldexp((double)moe_share_minmax(r->share), -bits);
}

double moe_regret_best(moe_regret *r, const double *load)
{
    moe_plan_layer home = moe_plan_at(&r->home, 0);
    moe_plan_layer next = moe_plan_at(&r->next, 0);
    const moe_planner_task task = {.load = load, .current = &home};
    double best = INFINITY;
    for (int i = 0; i < N_RIVALS; i++) {
        if (r->planner[i]->plan(r->state[i], &task, &next, NULL) != MOE_OK)
            continue;
        best =
            fmin(best, moe_regret_busiest(r, &next, load, MOE_DIVISION_MINMAX));
    }
    return best;
}
