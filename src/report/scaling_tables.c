/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <string.h>

#include "contents.h"
#include "moegps/mem.h"

enum { NAME_LEN = 24 }; /* characters of a strategy in a row */

static void add_curve(moe_table *t, const char *name,
                      const moe_scaling_curve *curve)
{
    for (size_t i = 0; i < curve->n_points; i++) {
        const moe_scaling_point *p = &curve->point[i];
        const moe_ratio *e = &p->efficiency;
        moe_table_name(t, i == 0 ? name : "", NAME_LEN);
        moe_table_cell(t, "%d", p->gpus);
        moe_table_cell(t, "%d", p->nodes);
        moe_table_put(t, moe_number_cell(p->tokens));
        moe_table_put(t, moe_time_cell(p->time.median));
        moe_table_interval(t, moe_time_cell, p->time.ci_low, p->time.ci_high);
        moe_table_put(t, moe_number_cell(p->rate));
        moe_table_put(t, moe_percent_cell(e->ratio));
        moe_table_interval(t, moe_percent_cell, e->ci_low, e->ci_high);
        moe_table_cell(t, "%zu", p->time.n);
    }
}

/* @return whether times of a clock are no result in some run. */
static bool is_moot(const moe_analysis *a, moe_clock clock)
{
    for (size_t i = 0; i < a->n; i++)
        if (clock == MOE_CLOCK_WALL && !moe_verdict_wall_counts(a->run[i].view))
            return true;
    return false;
}

static void say_clock(moe_document *doc, const moe_analysis *a, moe_clock clock)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"GPUs", NULL, MOE_RIGHT},
        {"nodes", NULL, MOE_RIGHT},
        {"tokens", NULL, MOE_RIGHT},
        {"layer", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
        {"tokens/s/GPU", "of a layer", MOE_RIGHT},
        {"efficiency", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
        {"n", NULL, MOE_RIGHT},
    };
    const bool moot = is_moot(a, clock);
    moe_doc_say(doc, MOE_DOC_CAPTION, "Scaling, %s clock (%s)%s",
                moe_clock_name(clock),
                clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured",
                moot ? ": not a result, ranks share cores" : "");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < a->scaling.strategies; s++)
        add_curve(t, a->run[0].view->strategy[s].name,
                  &a->scaling.curve[clock][s]);
}

/* ---- the verdict ---- */

/* @return the first winner behind `i` that is another strategy, or none. */
static size_t group_end(const moe_scaling *x, size_t i)
{
    size_t end = i + 1;
    while (end < x->n_winners &&
           (x->winner[end].best == NULL) == (x->winner[i].best == NULL) &&
           (x->winner[i].best == NULL ||
            strcmp(x->winner[end].best, x->winner[i].best) == 0))
        end++;
    return end;
}

/* "on 2 to 8 GPUs (1 to 2 nodes)", "on 16 GPUs (4 nodes)". */
static void say_gpus(const moe_scaling_winner *from,
                     const moe_scaling_winner *to, FILE *out)
{
    if (from != to)
        fprintf(out, "on %d to ", from->gpus);
    else
        fputs("on ", out);
    fprintf(out, "%d GPU%s", to->gpus, to->gpus == 1 ? "" : "s");
    if (from->nodes != to->nodes)
        fprintf(out, " (%d to %d nodes)", from->nodes, to->nodes);
    else if (to->nodes > 1)
        fprintf(out, " (%d nodes)", to->nodes);
}

static const char *reason_of(const moe_scaling_winner *w)
{
    static const char *const reasons[] = {
        [MOE_DOUBT_NONE] = "nothing was measured",
        [MOE_DOUBT_ALONE] = "one strategy",
        [MOE_DOUBT_ONE_GPU] = "nothing to balance",
        [MOE_DOUBT_FEW] = "too few independent batches",
        [MOE_DOUBT_OVERLAP] = "too close to call",
    };
    return w->differ ? "runs differ" : reasons[w->doubt];
}

/* What to use, group by group of numbers of GPUs. */
static void say_use(const moe_scaling *x, FILE *out)
{
    const char *before = "Use ";
    for (size_t i = 0; i < x->n_winners; i = group_end(x, i)) {
        const moe_scaling_winner *w = &x->winner[i];
        if (w->best == NULL)
            continue;
        fprintf(out, "%s%s ", before, w->best);
        say_gpus(w, &x->winner[group_end(x, i) - 1], out);
        before = ", ";
    }
    if (before[0] == ',')
        fprintf(out, ", by the %s clock (%s).", moe_clock_name(x->clock),
                moe_clock_origin(x->clock));
}

static void say_undecided(const moe_scaling *x, const char *before, FILE *out)
{
    for (size_t i = 0; i < x->n_winners; i = group_end(x, i)) {
        if (x->winner[i].best != NULL)
            continue;
        fprintf(out, "%sNo verdict ", before);
        before = " ";
        say_gpus(&x->winner[i], &x->winner[group_end(x, i) - 1], out);
        fprintf(out, ": %s.", reason_of(&x->winner[i]));
    }
}

static void say_turns(const moe_scaling *x, FILE *out)
{
    const moe_scaling_winner *last = NULL; /* that has a best one */
    for (size_t i = 0; i < x->n_winners; i++) {
        const moe_scaling_winner *w = &x->winner[i];
        if (w->best == NULL)
            continue;
        if (last != NULL && strcmp(last->best, w->best) != 0)
            fprintf(out, " It turns from %s to %s between %d and %d GPUs.",
                    last->best, w->best, last->gpus, w->gpus);
        last = w;
    }
}

static void say_verdict(const moe_scaling *x, FILE *out)
{
    bool decided = false;
    for (size_t i = 0; i < x->n_winners; i++)
        decided = decided || x->winner[i].best != NULL;
    say_use(x, out);
    say_undecided(x, decided ? " " : "", out);
    say_turns(x, out);
}

void moe_say_scaling_verdict(moe_document *doc, const moe_analysis *a)
{
    if (a->scaling.strategies == 0)
        return;
    const char *worst = "VALID";
    for (size_t i = 0; i < a->n; i++) {
        const char *result = moe_report_result(a->run[i].view);
        if (strcmp(result, "INVALID") == 0 || strcmp(worst, "VALID") == 0)
            worst = result;
    }
    moe_doc_verdict(doc, worst, "%s", "");
    say_verdict(&a->scaling, moe_doc_words(doc));
}

/* ---- the tables ---- */

void moe_say_scaling(moe_document *doc, const moe_analysis *a, bool all)
{
    if (a->scaling.strategies == 0)
        return;
    moe_doc_say(doc, MOE_DOC_HEADING, "Scaling");
    moe_doc_say(doc, MOE_DOC_UNDER,
                "%zu runs of %s. Efficiency: tokens per second and GPU, "
                "over that of the fewest GPUs.",
                a->n, a->run[0].view->model);
    if (all || !is_moot(a, MOE_CLOCK_WALL))
        say_clock(doc, a, MOE_CLOCK_WALL);
    say_clock(doc, a, MOE_CLOCK_GPU);
}

void moe_report_scaling(moe_document *doc, const moe_analysis *a, bool all)
{
    moe_say_scaling_verdict(doc, a);
    moe_say_scaling(doc, a, all);
}
