/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "plan.h"

/* The placement in force beside the planned one, and what the move is worth. */

const char *const moe_plan_conventions[MOE_N_BALANCES] = {
    [MOE_BALANCE_MEAN] = "mean/max, then averaged",
    [MOE_BALANCE_OF_SUMS] = "sum of means / sum of max",
    [MOE_BALANCE_IMBALANCE] = "max/mean, averaged",
    [MOE_BALANCE_EXCESS] = "max/mean - 1, averaged"};

const char *moe_plan_noun(const moe_plan_settings *s)
{
    return s->emit.n > 0 ? "emitted" : "planned";
}

/* Steps that the last plan is compared on: where every step has a plan of its
 * own, that is the last one. */
size_t moe_plan_first_step(const moe_plan_offline *w,
                           const moe_plan_settings *s)
{
    return s->steps == MOE_STUDY_EACH ? w->loads.steps - 1 : 0;
}

const moe_plan *moe_plan_placed(const moe_plan_offline *w, int which)
{
    return which == MOE_IN_FORCE      ? &w->previous
           : w->filled.expert != NULL ? &w->filled
                                      : &w->study.plan;
}

moe_division moe_plan_division(const moe_plan_offline *w, int which)
{
    const bool equal =
        which == MOE_IN_FORCE
            ? w->of_engine && w->env.division == MOE_DIVISION_QUOTA
            : w->filled.expert != NULL;
    return equal ? MOE_DIVISION_EQUAL : w->env.division;
}

double moe_plan_balance(const moe_plan_offline *w, int which, moe_balance by)
{
    const moe_tally all = moe_tally_sum(w->worth.tally[which], w->loads.layers);
    return moe_tally_balance(&all, by);
}

static void judge(moe_plan_offline *w, size_t first, int which, moe_value *v)
{
    const size_t n_l = (size_t)w->loads.layers, n_e = (size_t)w->loads.experts;
    const moe_plan *plan = moe_plan_placed(w, which);
    const moe_division by = moe_plan_division(w, which);
    double *imbalance = w->worth.imbalance[which];
    double sum_s = 0;
    for (size_t i = first * n_l; i < w->loads.steps * n_l; i++) {
        const moe_plan_layer layer = moe_plan_at(plan, (int)(i % n_l));
        const double *load = w->loads.load + i * n_e;
        double mean = 0;
        for (size_t e = 0; e < n_e; e++)
            mean += load[e] / plan->gpus;
        moe_bulk_passed(load, n_e * sizeof *load);
        *imbalance = moe_value_imbalance(v, &layer, load, by);
        moe_tally_add(&w->worth.tally[which][i % n_l], mean,
                      mean * *imbalance++);
        sum_s += moe_value_layer_s(v, &layer, load, by);
    }
    w->worth.step_s[which] = sum_s / (double)(w->loads.steps - first);
}

moe_status moe_plan_judge(moe_plan_offline *w, const moe_plan_settings *s,
                          int which, moe_error *err)
{
    const size_t first = moe_plan_first_step(w, s);
    const size_t layers = (size_t)w->loads.layers;
    moe_plan_worth *worth = &w->worth;
    moe_value *v = moe_value_new(&w->env, err);
    worth->n = (w->loads.steps - first) * layers;
    worth->imbalance[which] = moe_array_new(worth->n, sizeof(double), err);
    worth->tally[which] =
        moe_array_new(layers, sizeof *worth->tally[which], err);
    if (err->status == MOE_OK)
        judge(w, first, which, v);
    moe_value_free(v);
    return err->status;
}

moe_status moe_plan_weigh(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err)
{
    moe_plan_worth *worth = &w->worth;
    for (int i = 0; i < MOE_N_PLACED && err->status == MOE_OK; i++)
        moe_plan_judge(w, s, i, err);
    if (err->status == MOE_OK)
        worth->moves =
            moe_value_moves(&w->present, moe_plan_placed(w, MOE_PLANNED),
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
    for (int i = 0; i < MOE_N_PLACED; i++) {
        free(worth->imbalance[i]);
        free(worth->tally[i]);
    }
    free(worth->moves);
    *worth = (moe_plan_worth){.n = 0};
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
    return moe_plan_division(w, which) == w->env.division ? s->split->name
                                                          : "equal";
}

/* Means and percentiles, side by side. 99 % needs 100 samples, as everywhere. */
static void say_both(moe_document *doc, const moe_plan_offline *w,
                     const moe_plan_settings *s)
{
    static const struct {
        const char *name;
        double quantile;
        size_t least;
    } rows[] = {{"max/mean, median", .5, 1},
                {"max/mean, 90 %", .9, 10},
                {"max/mean, 99 %", .99, 100},
                {"max/mean, largest", 1, 1}};
    const moe_column columns[] = {
        {"all layers", "divided by", MOE_LEFT},
        {"in force", divided(w, s, MOE_IN_FORCE), MOE_RIGHT},
        {moe_plan_noun(s), divided(w, s, MOE_PLANNED), MOE_RIGHT}};
    const moe_plan_worth *worth = &w->worth;
    moe_error err = {0};
    double *x[MOE_N_PLACED] = {NULL};
    for (int i = 0; i < MOE_N_PLACED; i++)
        x[i] = sorted_copy(worth->imbalance[i], worth->n, &err);
    moe_table *t = moe_doc_table(doc,
                                 s->steps == MOE_STUDY_EACH
                                     ? "before and after, on the last step"
                                     : "before and after, over steps",
                                 columns, 3);
    for (int c = 0; c < MOE_N_BALANCES; c++) {
        moe_table_cell(t, "%s", moe_plan_conventions[c]);
        for (int i = 0; i < MOE_N_PLACED; i++)
            moe_table_put(
                t, moe_fixed_cell(moe_plan_balance(w, i, (moe_balance)c)));
    }
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
        "in force, divided by %s, %s a step; %s, divided by %s, %s",
        divided(w, s, MOE_IN_FORCE),
        moe_time_cell(worth->step_s[MOE_IN_FORCE]).text, moe_plan_noun(s),
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
    say_both(doc, w, s);
    if (w->tokens.n > 0)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "pairs that cross nodes: in force %s, %s %s; %s where a "
                    "copy on the token's node is preferred",
                    moe_percent_cell(w->worth.cross[MOE_IN_FORCE]).text,
                    moe_plan_noun(s),
                    moe_percent_cell(w->worth.cross[MOE_PLANNED]).text,
                    moe_percent_cell(w->worth.cross_near).text);
    if (w->env.pricer != NULL)
        say_payback(doc, w, s);
}
