/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>

static const char *name_of(const moe_view *v, int s)
{
    return v->strategy[s].name;
}

/* @return " with planner X and split Y" of a strategy; "" if not recorded. */
static moe_cell planning_cell(const moe_view *v, int s)
{
    moe_cell cell = {""};
    const moe_strategy_facts *f = &v->strategy[s].facts;
    if (f->planner[0] != '\0' && f->split[0] != '\0')
        snprintf(cell.text, sizeof cell.text,
                 " with planner %.18s and split %.18s", f->planner, f->split);
    return cell;
}

/* Begin an item. */
static FILE *item(moe_document *doc)
{
    moe_doc_begin(doc, MOE_DOC_ITEM);
    return moe_doc_words(doc);
}

/* Lead and how sure it is, as far as prices go. */
static void say_lead(const moe_run_analysis *run, moe_document *doc)
{
    const moe_sensitivity *o = &run->sensitivity;
    const moe_view *v = run->view;
    const int by_wall = run->verdict.best;
    if (run->verdict.clock == MOE_CLOCK_WALL && by_wall != o->winner)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "What follows is of the gpu clock, on which not %s is "
                    "fastest but %s.",
                    by_wall >= 0 ? name_of(v, by_wall) : "any",
                    name_of(v, o->winner));
    FILE *out = item(doc);
    const char *first = name_of(v, o->winner), *second = name_of(v, o->second);
    if (o->lead_s < 0) {
        fprintf(out,
                "%s has the least median on the gpu clock, but by the median "
                "of pairs %s is %s a layer ahead of it.",
                first, second, moe_time_cell(-o->lead_s).text);
        return;
    }
    if (!(o->lead_s > 0)) {
        fprintf(out, "%s and %s take equally long on the gpu clock.", first,
                second);
        return;
    }
    fprintf(out,
            "%s is %s a layer ahead of %s on the gpu clock, by the median of "
            "pairs; ",
            first, moe_time_cell(o->lead_s).text, second);
    if (isnan(o->error))
        fputs("how wrong prices may be is not known.", out);
    else
        fprintf(out,
                "two of three prices are off by at most %s, which makes that "
                "%s to %s%s.",
                moe_percent_cell(o->error).text,
                moe_time_cell(o->lead.low_s).text,
                moe_time_cell(o->lead.high_s).text,
                o->lead.low_s > 0 ? "" : ", so that it may be none");
}

/* Of a layer: less is rounding to whole pairs. */
static const double LITTLE = 5e-4;

static void say_won(const char *before, const char *what, const double *t,
                    moe_perfect stage, FILE *out)
{
    const double won_s = t[stage - 1] - t[stage];
    fprintf(out, "%s%s would win ", before, what);
    if (won_s > LITTLE * t[0])
        fprintf(out, "%s (%.1f %%)", moe_time_cell(won_s).text,
                100 * won_s / t[0]);
    else
        fputs(won_s > 0 ? "next to nothing" : "nothing", out);
}

/* What perfecting a stage would win, in the order of the pipeline. */
static void say_stages(const moe_sensitivity *o, const moe_view *v,
                       moe_document *doc)
{
    const double *t = o->stage_s + o->winner * MOE_N_PERFECTS;
    if (isnan(t[MOE_PERFECT_EXCHANGE]))
        return;
    FILE *out = item(doc);
    fprintf(out, "For %s ", name_of(v, o->winner));
    say_won("", "perfect splitting", t, MOE_PERFECT_SPLIT, out);
    say_won(", upon it ", "perfect prediction", t, MOE_PERFECT_PREDICTION, out);
    say_won(", upon both ", "perfect planning", t, MOE_PERFECT_PLANNER, out);
    fputs(", by the balance of what is computed and exchanged; ", out);
    say_won("balanced perfectly, ", "nothing left to dispatch", t,
            MOE_PERFECT_EXCHANGE, out);
    fputs(".", out);
}

static moe_cell count_cell(double x)
{
    moe_cell cell;
    snprintf(cell.text, sizeof cell.text, "%.0f", x);
    return cell;
}

static moe_cell rate_cell(double x)
{
    moe_cell cell;
    snprintf(cell.text, sizeof cell.text, "%.4g GB/s", x * 1e-9);
    return cell;
}

/* What is on one side of the run. */
typedef struct {
    const moe_turn *turn;
    const char *beyond, *towards; /* below, down to; above, up to */
} side;

/* Of `at`: told once where both places of a side are one. */
static const double APART = 0.05;

static void say_side(const side *x, const moe_run_analysis *run,
                     moe_cell (*cell)(double), FILE *out)
{
    const moe_turn *t = x->turn;
    const char *winner = name_of(run->view, run->sensitivity.winner);
    const bool turns = !isnan(t->at);
    const bool safe =
        !isnan(t->safe) && !(turns && fabs(t->safe / t->at - 1) < APART);
    if (safe)
        fprintf(out, "%s %s none beats %s by %.0f %%", x->towards,
                cell(t->safe).text, winner, 100 * run->sensitivity.clear);
    if (turns && t->until == t->end)
        fprintf(out, "%s%s %s", safe ? ", " : "", x->beyond, cell(t->at).text);
    else if (turns)
        fprintf(out, "%sfrom %s %s %s", safe ? ", " : "", cell(t->at).text,
                x->towards, cell(t->until).text);
    if (turns)
        fprintf(out, " %s beats %s", name_of(run->view, t->winner), winner);
    else if (!safe)
        fprintf(out, "%s %s it is open", x->towards, cell(t->end).text);
    else if (t->safe != t->end)
        fputs(", beyond it is open", out);
}

static void say_sides(const moe_turn *below, const moe_turn *above,
                      const moe_run_analysis *run, moe_cell (*cell)(double),
                      FILE *out)
{
    say_side(&(side){below, "below", "down to"}, run, cell, out);
    fputs("; ", out);
    say_side(&(side){above, "above", "up to"}, run, cell, out);
    fputs(".", out);
}

static void say_turns(const moe_run_analysis *run, moe_document *doc)
{
    const moe_sensitivity *o = &run->sensitivity;
    FILE *out = item(doc);
    fprintf(out, "Tokens of a batch (here %.0f): ", o->tokens);
    say_sides(&o->fewer, &o->more, run, count_cell, out);
    fputs(" Batches are taken to be as uneven and as hard to foretell as "
          "those of the run; real larger ones are evener and easier to "
          "foretell, so that theirs may lie elsewhere. They are planned anew: "
          "what pairs of batches do not agree in (sign test, 95 %) is open.",
          out);
    if (run->view->dims.gpus < 2)
        return;
    out = item(doc);
    fprintf(out, "Bandwidth %s, per GPU and direction (here %s): ",
            o->network ? "between nodes" : "of links",
            rate_cell(o->bandwidth).text);
    say_sides(&o->slower, &o->faster, run, rate_cell, out);
}

/* Where a verdict turns depends on how each strategy plans and divides. */
static void say_planning(const moe_sensitivity *o, const moe_view *v,
                         moe_document *doc)
{
    FILE *out = NULL;
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_strategy_facts *f = &v->strategy[s].facts;
        if (f->planner[0] == '\0' || f->split[0] == '\0')
            continue;
        if (out == NULL)
            fputs("All of it holds for the run's plans, by planner and split: ",
                  out = item(doc));
        else
            fputs(", ", out);
        fprintf(out, "%s %s/%s", name_of(v, s), f->planner, f->split);
    }
    if (out != NULL)
        fprintf(out,
                ". Who beats %s does so by %.0f %% or more where that begins.",
                name_of(v, o->winner), 100 * o->clear);
}

static void say_overhead(const moe_break_even *b, const moe_view *v, FILE *out)
{
    const char *name = name_of(v, b->strategy), *rival = name_of(v, b->rival);
    fprintf(out, "%s takes %s a layer to predict", name,
            moe_time_cell(b->predict_s).text);
    if (!(b->limit_s > 0))
        fprintf(out, "; even free it would not beat %s%s", rival,
                planning_cell(v, b->strategy).text);
    else if (b->ahead)
        fprintf(out, "; it beats %s as long as that is below %s", rival,
                moe_time_cell(b->limit_s).text);
    else
        fprintf(out, "; to beat %s it would have to be below %s", rival,
                moe_time_cell(b->limit_s).text);
    fputs(".", out);
}

/* @return "the cost of X", or "no cost". */
static moe_cell cost_cell(const moe_break_even *b, const moe_view *v)
{
    moe_cell cell;
    snprintf(cell.text, sizeof cell.text, "%s%.40s",
             b->strategy >= 0 ? "the cost of " : "no cost",
             b->strategy >= 0 ? name_of(v, b->strategy) : "");
    return cell;
}

static void say_accuracy(const moe_break_even *b, const moe_view *v, FILE *out)
{
    const char *rival = name_of(v, b->without);
    const moe_cell cost = cost_cell(b, v);
    const moe_cell planning =
        b->like >= 0 ? planning_cell(v, b->like) : (moe_cell){""};
    const bool wins = b->strategy >= 0 &&
                      v->strategy[b->strategy].summary[MOE_CLOCK_GPU].median <
                          v->strategy[b->without].summary[MOE_CLOCK_GPU].median;
    if (isnan(b->recall_needed) && wins)
        fprintf(out,
                "%s beats %s, but one right for %s of a token's experts at its "
                "cost%s would not: it is not recall that counts here",
                name_of(v, b->strategy), rival,
                moe_percent_cell(b->recall_most).text, planning.text);
    else if (isnan(b->recall_needed))
        fprintf(out,
                "Even right for %s of a token's experts, at %s, a predictor of "
                "tokens%s would not beat %s",
                moe_percent_cell(b->recall_most).text, cost.text, planning.text,
                rival);
    else if (b->recall_needed <= b->recall_least)
        fprintf(out,
                "Right for %s of a token's experts, at %s, a predictor of "
                "tokens%s beats %s; less was not tried",
                moe_percent_cell(b->recall_least).text, cost.text,
                planning.text, rival);
    else
        fprintf(
            out,
            "At %s, a predictor of tokens%s loses to %s if it is right for %s "
            "of a token's experts, and beats it if it is right for %s; by a "
            "line between these, from %s on",
            cost.text, planning.text, rival,
            moe_percent_cell(b->recall_loses).text,
            moe_percent_cell(b->recall_wins).text,
            moe_percent_cell(b->recall_needed).text);
    if (b->strategy >= 0)
        fprintf(out, "; %s is for %s", name_of(v, b->strategy),
                moe_percent_cell(b->recall).text);
    fputs(".", out);
}

/* Questions were put to a part of a large file. */
static void say_sample_error(const moe_sensitivity *o, moe_document *doc)
{
    static const double CLOSE = 1e-4;
    if (o->undecided)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "Where the verdict turns is not known: a part of the run "
                    "was priced, whose lead is not that of all of it.");
    else if (o->sample_error > CLOSE)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "A part of the run was priced anew; its times differ from "
                    "all of it by %s at most.",
                    moe_percent_cell(o->sample_error).text);
}

void moe_say_sensitivity(moe_document *doc, const moe_run_analysis *run)
{
    const moe_sensitivity *o = &run->sensitivity;
    const moe_break_even *b = &run->break_even;
    const moe_view *v = run->view;
    moe_doc_say(doc, MOE_DOC_LIST,
                "What would change it, gpu clock (modelled):");
    if (o->known && o->second >= 0)
        say_lead(run, doc);
    if (b->strategy >= 0 && b->rival >= 0)
        say_overhead(b, v, item(doc));
    if (b->without >= 0 && !isnan(b->recall_most))
        say_accuracy(b, v, item(doc));
    if (!o->known) {
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "Other batches, links and balances cannot be priced: %s.",
                    o->why_not);
        return;
    }
    if (o->winner >= 0)
        say_stages(o, v, doc);
    if (o->second < 0) {
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "With less than two strategies that can be built no "
                    "verdict turns.");
        return;
    }
    if (!o->undecided) {
        say_turns(run, doc);
        say_planning(o, v, doc);
    }
    say_sample_error(o, doc);
}
