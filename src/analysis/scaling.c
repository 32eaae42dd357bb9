/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/verdict.h"

/* Whether there is anything to compare: two numbers of GPUs. */
static bool comparable(const moe_view *views, size_t n)
{
    bool differ = false;
    for (size_t i = 1; i < n; i++) {
        if (strcmp(views[i].model, views[0].model) != 0)
            return false; /* times of other layers */
        differ = differ || views[i].dims.gpus != views[0].dims.gpus;
    }
    return differ;
}

/* The point of a number of GPUs, made where it is new, in rising order. */
static moe_scaling_point *point_of(moe_scaling_curve *c, const moe_view *view)
{
    size_t at = 0;
    while (at < c->n_points && c->point[at].gpus < view->dims.gpus)
        at++;
    if (at < c->n_points && c->point[at].gpus == view->dims.gpus)
        return &c->point[at];
    memmove(&c->point[at + 1], &c->point[at],
            (c->n_points - at) * sizeof *c->point);
    c->n_points++;
    c->point[at] = (moe_scaling_point){.gpus = view->dims.gpus};
    return &c->point[at];
}

static void add_run(moe_scaling_point *p, const moe_view *view, int strategy,
                    moe_clock clock, moe_error *err)
{
    const size_t m = (size_t)view->dims.iterations;
    double *samples = realloc(p->samples, (p->n + m) * sizeof *samples);
    if (samples == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return;
    }
    p->samples = samples;
    moe_view_samples(view, strategy, clock, samples + p->n);
    p->n += m;
    p->tokens = (p->tokens * p->runs + view->tokens) / (p->runs + 1);
    p->passes = fmax(p->passes, view->passes);
    p->nodes = view->nodes > p->nodes ? view->nodes : p->nodes;
    p->runs++;
}

/* Tokens per second and GPU serve strong and weak scaling alike. */
static void finish(moe_scaling_curve *c, moe_error *err)
{
    const moe_scaling_point *first = &c->point[0];
    for (size_t i = 0; i < c->n_points && err->status == MOE_OK; i++) {
        moe_scaling_point *p = &c->point[i];
        const double share = p->tokens / first->tokens * first->gpus / p->gpus;
        moe_summarise(p->samples, p->n, p->passes, &p->time, err);
        p->rate = p->tokens / p->time.median / p->gpus;
        p->efficiency = moe_unpaired_ratio(&first->time, &p->time);
        p->efficiency.ratio *= share;
        p->efficiency.ci_low *= share;
        p->efficiency.ci_high *= share;
    }
    c->point[0].efficiency.ci_low = c->point[0].efficiency.ci_high = NAN;
}

static void fill_curve(moe_scaling_curve *c, const moe_view *views, size_t n,
                       const char *strategy, moe_clock clock, moe_error *err)
{
    c->point = moe_array_new(n, sizeof *c->point, err);
    for (size_t i = 0; i < n && err->status == MOE_OK; i++) {
        const int s = moe_view_strategy(&views[i], strategy);
        if (s >= 0)
            add_run(point_of(c, &views[i]), &views[i], s, clock, err);
    }
    if (err->status == MOE_OK)
        finish(c, err);
}

moe_status moe_scaling_init(moe_scaling *out, const moe_view *views, size_t n,
                            moe_error *err)
{
    moe_error local = {0};
    moe_scaling all = {0};
    *out = all;
    if (!comparable(views, n))
        return MOE_OK;
    all.strategies = views[0].dims.strategies;
    all.clock = MOE_CLOCK_WALL;
    for (size_t i = 0; i < n; i++)
        if (moe_verdict_clock(&views[i]) != MOE_CLOCK_WALL)
            all.clock = moe_verdict_clock(&views[i]);
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        all.curve[c] =
            moe_array_new((size_t)all.strategies, sizeof *all.curve[c], &local);
        for (int s = 0; s < all.strategies && local.status == MOE_OK; s++)
            fill_curve(&all.curve[c][s], views, n, views[0].strategy[s].name,
                       (moe_clock)c, &local);
    }
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_scaling_fini(&all);
    return moe_pass(err, &local);
}

/* @return the winner's place of a number of GPUs, made where it is new; NULL: no
 * memory. */
static moe_scaling_winner *winner_of(moe_scaling *x, const moe_view *view,
                                     moe_error *err)
{
    size_t at = 0;
    while (at < x->n_winners && x->winner[at].gpus < view->dims.gpus)
        at++;
    if (at < x->n_winners && x->winner[at].gpus == view->dims.gpus)
        return &x->winner[at];
    moe_scaling_winner *more =
        realloc(x->winner, (x->n_winners + 1) * sizeof *more);
    if (more == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    x->winner = more;
    memmove(&more[at + 1], &more[at], (x->n_winners - at) * sizeof *more);
    x->n_winners++;
    more[at] = (moe_scaling_winner){.gpus = view->dims.gpus};
    return &more[at];
}

moe_status moe_scaling_judge(moe_scaling *x, const moe_view *view,
                             const moe_verdict *verdict, moe_error *err)
{
    if (x->strategies == 0)
        return MOE_OK;
    moe_scaling_winner *w = winner_of(x, view, err);
    if (w == NULL)
        return MOE_NOMEM;
    w->nodes = view->nodes > w->nodes ? view->nodes : w->nodes;
    if (verdict->best < 0 || verdict->doubt != MOE_DOUBT_NONE) {
        w->doubt = w->doubt == MOE_DOUBT_NONE ? verdict->doubt : w->doubt;
        return MOE_OK;
    }
    const char *best = view->strategy[verdict->best].name;
    w->differ = w->differ || (w->best != NULL && strcmp(w->best, best) != 0);
    w->best = w->differ ? NULL : best;
    return MOE_OK;
}

void moe_scaling_fini(moe_scaling *scaling)
{
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        for (int s = 0; scaling->curve[c] != NULL && s < scaling->strategies;
             s++) {
            moe_scaling_curve *curve = &scaling->curve[c][s];
            for (size_t i = 0; i < curve->n_points; i++)
                free(curve->point[i].samples);
            free(curve->point);
        }
        free(scaling->curve[c]);
    }
    free(scaling->winner);
    *scaling = (moe_scaling){0};
}
