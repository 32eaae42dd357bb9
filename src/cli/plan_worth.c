/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "plan.h"

/* The placement in force beside the planned one, and what the move is worth. */

/* Steps that the last plan is compared on: where every step has a plan of its
 * own, that is the last one. */
size_t moe_plan_first_step(const moe_plan_offline *w,
                           const moe_plan_settings *s)
{
    return s->steps == MOE_STUDY_EACH ? w->loads.steps - 1 : 0;
}

/* Engines have no quotas: they divide equally what is in force now. */
static moe_division division_of(const moe_plan_offline *w, int which)
{
    return which == MOE_IN_FORCE && w->of_engine &&
                   w->env.division == MOE_DIVISION_QUOTA
               ? MOE_DIVISION_EQUAL
               : w->env.division;
}

static void weigh(moe_plan_offline *w, size_t first, int which, moe_value *v,
                  double *imbalance)
{
    const size_t n_l = (size_t)w->loads.layers, steps = w->loads.steps;
    const moe_plan *plan = which == MOE_PLANNED ? &w->study.plan : &w->previous;
    const moe_division by = division_of(w, which);
    double sum_s = 0;
    for (size_t i = first * n_l; i < steps * n_l; i++) {
        const moe_plan_layer layer = moe_plan_at(plan, (int)(i % n_l));
        const double *load = w->loads.load + i * (size_t)w->loads.experts;
        moe_bulk_passed(load, (size_t)w->loads.experts * sizeof *load);
        *imbalance++ = moe_value_imbalance(v, &layer, load, by);
        sum_s += moe_value_layer_s(v, &layer, load, by);
    }
    w->worth.step_s[which] = sum_s / (double)(steps - first);
}

double moe_plan_layer_s(const moe_plan_offline *w, const moe_plan_settings *s,
                        const moe_plan *plan, moe_error *err)
{
    const size_t n_l = (size_t)w->loads.layers, n = w->loads.steps * n_l;
    const size_t first = moe_plan_first_step(w, s) * n_l;
    moe_value *v = moe_value_new(&w->env, err);
    double sum_s = 0;
    for (size_t i = first; v != NULL && i < n; i++) {
        const moe_plan_layer layer = moe_plan_at(plan, (int)(i % n_l));
        const double *load = w->loads.load + i * (size_t)w->loads.experts;
        moe_bulk_passed(load, (size_t)w->loads.experts * sizeof *load);
        sum_s += moe_value_layer_s(v, &layer, load, w->env.division);
    }
    moe_value_free(v);
    return sum_s / (double)(n - first);
}

moe_status moe_plan_weigh(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err)
{
    const size_t first = moe_plan_first_step(w, s);
    moe_plan_worth *worth = &w->worth;
    moe_value *v = moe_value_new(&w->env, err);
    worth->n = (w->loads.steps - first) * (size_t)w->loads.layers;
    for (int i = 0; i < MOE_N_PLACED; i++) {
        worth->imbalance[i] = moe_array_new(worth->n, sizeof(double), err);
        if (err->status == MOE_OK)
            weigh(w, first, i, v, worth->imbalance[i]);
    }
    moe_value_free(v);
    if (err->status == MOE_OK)
        worth->moves = moe_value_moves(&w->present, &w->study.plan,
                                       &w->env.layout, &worth->n_moves, err);
    for (size_t i = 0; i < worth->n_moves; i++)
        worth->lost += worth->moves[i].from < 0;
    if (w->env.pricer != NULL && err->status == MOE_OK)
        worth->move =
            moe_value_moves_s(w->env.pricer, worth->moves, worth->n_moves);
    return err->status;
}

void moe_plan_worth_fini(moe_plan_worth *worth)
{
    for (int i = 0; i < MOE_N_PLACED; i++)
        free(worth->imbalance[i]);
    free(worth->moves);
}

/* ---- said ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted_copy(const double *x, size_t n, moe_error *err)
{
    double *copy = moe_array_new(n, sizeof *copy, err);
    if (copy == NULL)
        return NULL;
    memcpy(copy, x, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, by_value);
    return copy;
}

/* Who divides pairs among copies where a placement is scored. */
static const char *divided(const moe_plan_offline *w,
                           const moe_plan_settings *s, int which)
{
    return division_of(w, which) == w->env.division ? s->split->name : "equal";
}

/* Percentiles beside means. 99 % needs 100 samples, as everywhere. */
static void say_percentiles(moe_document *doc, const moe_plan_offline *w,
                            const moe_plan_settings *s)
{
    static const struct {
        const char *name;
        double quantile;
        size_t least;
    } rows[] = {{"median", .5, 1},
                {"90 %", .9, 10},
                {"99 %", .99, 100},
                {"largest", 1, 1}};
    const moe_column columns[] = {
        {"max / mean load", "divided by", MOE_LEFT},
        {"in force", divided(w, s, MOE_IN_FORCE), MOE_RIGHT},
        {"planned", divided(w, s, MOE_PLANNED), MOE_RIGHT}};
    const moe_plan_worth *worth = &w->worth;
    moe_error err = {0};
    double *x[MOE_N_PLACED] = {NULL};
    for (int i = 0; i < MOE_N_PLACED; i++)
        x[i] = sorted_copy(worth->imbalance[i], worth->n, &err);
    moe_table *t = moe_doc_table(doc,
                                 s->steps == MOE_STUDY_EACH
                                     ? "over layers of the last step"
                                     : "over steps and layers",
                                 columns, 3);
    for (size_t r = 0; r < MOE_ARRAY_LEN(rows) && err.status == MOE_OK; r++) {
        moe_table_cell(t, "%s", rows[r].name);
        for (int i = 0; i < MOE_N_PLACED; i++)
            moe_table_put(
                t, moe_fixed_cell(worth->n >= rows[r].least
                                      ? moe_quantile_sorted(x[i], worth->n,
                                                            rows[r].quantile)
                                      : NAN));
    }
    for (int i = 0; i < MOE_N_PLACED; i++)
        free(x[i]);
}

/* Steps after which what is saved exceeds what moving costs. */
static void say_payback(moe_document *doc, const moe_plan_offline *w,
                        const moe_plan_settings *s)
{
    const moe_plan_worth *worth = &w->worth;
    const double saved_s =
        worth->step_s[MOE_IN_FORCE] - worth->step_s[MOE_PLANNED];
    const double move_s = worth->move.time_s;
    moe_doc_say(
        doc, MOE_DOC_UNDER,
        "experts and exchange of the slowest GPU, all layers, modelled: "
        "in force, divided by %s, %s a step; planned, divided by %s, %s",
        divided(w, s, MOE_IN_FORCE),
        moe_time_cell(worth->step_s[MOE_IN_FORCE]).text,
        divided(w, s, MOE_PLANNED),
        moe_time_cell(worth->step_s[MOE_PLANNED]).text);
    if (worth->n_moves == 0)
        return;
    if (saved_s <= 0) {
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "moving costs %s where nothing hides it, and saves nothing",
                    moe_time_cell(move_s).text);
        return;
    }
    const double steps = fmax(1, ceil(move_s / saved_s));
    moe_doc_say(doc, MOE_DOC_UNDER,
                "keeping the old plan for %.0f step%s costs %s, moving costs "
                "%s where nothing hides it",
                steps, steps > 1 ? "s" : "",
                moe_time_cell(steps * saved_s).text,
                moe_time_cell(move_s).text);
}

void moe_plan_say_worth(moe_document *doc, const moe_plan_offline *w,
                        const moe_plan_settings *s)
{
    say_percentiles(doc, w, s);
    if (w->tokens.n > 0)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "pairs that cross nodes: in force %s, planned %s; %s where "
                    "a copy on the token's node is preferred",
                    moe_percent_cell(w->worth.cross[MOE_IN_FORCE]).text,
                    moe_percent_cell(w->worth.cross[MOE_PLANNED]).text,
                    moe_percent_cell(w->worth.cross_near).text);
    if (w->env.pricer != NULL)
        say_payback(doc, w, s);
}
