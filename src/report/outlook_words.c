/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "cells.h"
#include "outlook.h"

static const char *name_of(const moe_view *v, int s)
{
    return v->strategy[s].name;
}

/* Lead and how sure it is, as far as prices go. */
static void say_lead(const moe_outlook *o, const moe_view *v, FILE *out)
{
    if (o->second < 0)
        return;
    fprintf(out, "%s leads %s by %s a layer on the gpu clock; ",
            name_of(v, o->winner), name_of(v, o->second),
            moe_time_cell(o->lead_s).text);
    if (isnan(o->error_s))
        fputs("how wrong the prices may be is not known", out);
    else
        fprintf(out,
                "the cost model's own error, of what differs between them, is "
                "%s, so that the lead %s it",
                moe_time_cell(o->error_s).text,
                o->lead_s > o->error_s ? "survives" : "does not survive");
    fputs(".\n", out);
}

static void say_won(const char *before, const char *what, const double *t,
                    moe_perfect stage, FILE *out)
{
    const double won_s = t[stage - 1] - t[stage];
    fprintf(out, "%s%s would win ", before, what);
    if (won_s > 0)
        fprintf(out, "%s (%.1f %%)", moe_time_cell(won_s).text,
                100 * won_s / t[0]);
    else
        fputs("nothing", out);
}

/* What perfecting a stage would win, in the order of the pipeline. */
static void say_stages(const moe_outlook *o, const moe_view *v, FILE *out)
{
    const double *t = o->stage_s + o->winner * MOE_N_PERFECTS;
    if (isnan(t[MOE_PERFECT_EXCHANGE]))
        return;
    fprintf(out, "For %s ", name_of(v, o->winner));
    say_won("", "perfect splitting", t, MOE_PERFECT_SPLIT, out);
    say_won(", upon it ", "perfect prediction", t, MOE_PERFECT_PREDICTION, out);
    say_won(", upon both ", "perfect planning", t, MOE_PERFECT_PLANNER, out);
    fputs(", by the balance of what is computed and exchanged; ", out);
    say_won("balanced perfectly, ", "nothing left to dispatch", t,
            MOE_PERFECT_EXCHANGE, out);
    fputs(".\n", out);
}

static void say_turn(const moe_turn *t, const moe_view *v, const char *side,
                     moe_cell (*cell)(double), const char *unit, FILE *out)
{
    if (isnan(t->at))
        fprintf(out, "%s %s%s nothing changes", side, cell(t->end).text, unit);
    else
        fprintf(out, "%s %s%s %s is fastest", side, cell(t->at).text, unit,
                name_of(v, t->winner));
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

static void say_turns(const moe_outlook *o, const moe_view *v, FILE *out)
{
    fprintf(out, "Tokens of a batch (here %.0f): ", o->tokens);
    say_turn(&o->fewer, v, isnan(o->fewer.at) ? "down to" : "below", count_cell,
             "", out);
    fputs("; ", out);
    say_turn(&o->more, v, isnan(o->more.at) ? "up to" : "above", count_cell, "",
             out);
    fputs(". Batches are taken to be as uneven and as hard to foretell as "
          "those of the run; larger ones are less so, so that what balances "
          "them wins earlier.\n",
          out);
    if (v->dims.gpus < 2)
        return;
    fprintf(out, "Bandwidth %s, per GPU and direction (here %s): ",
            o->network ? "between nodes" : "of links",
            rate_cell(o->bandwidth).text);
    say_turn(&o->slower, v, isnan(o->slower.at) ? "down to" : "below",
             rate_cell, "", out);
    fputs("; ", out);
    say_turn(&o->faster, v, isnan(o->faster.at) ? "up to" : "above", rate_cell,
             "", out);
    fputs(".\n", out);
}

static void say_overhead(const moe_break_even *b, const moe_view *v, FILE *out)
{
    const char *name = name_of(v, b->strategy), *rival = name_of(v, b->rival);
    fprintf(out, "%s takes %s a layer to predict", name,
            moe_time_cell(b->predict_s).text);
    if (b->limit_s < 0)
        fprintf(out, "; even free it would not beat %s", rival);
    else if (b->ahead)
        fprintf(out, "; it would beat %s as long as that is below %s", rival,
                moe_time_cell(b->limit_s).text);
    else
        fprintf(out, "; to beat %s it would have to be below %s", rival,
                moe_time_cell(b->limit_s).text);
    fputs(".\n", out);
}

static void say_accuracy(const moe_break_even *b, const moe_view *v, FILE *out)
{
    const bool none = isnan(b->recall_needed);
    const bool least = b->recall_needed <= b->recall_least;
    fprintf(out,
            "A predictor of tokens would %sbeat %s %s, %s %s of a token's "
            "experts%s",
            none ? "not " : "", name_of(v, b->without),
            b->strategy >= 0 ? "at that cost" : "if it cost nothing",
            none    ? "even if it were right for"
            : least ? "being right for"
                    : "if it were right for more than",
            moe_percent_cell(none    ? b->recall_most
                             : least ? b->recall_least
                                     : b->recall_needed)
                .text,
            none || least ? ""
                          : ", by lines between the strategies of this run");
    if (b->strategy >= 0)
        fprintf(out, "; %s is for %s", name_of(v, b->strategy),
                moe_percent_cell(b->recall).text);
    fputs(".\n", out);
}

/* Questions were put to a part of a large file. */
static void say_fit(const moe_outlook *o, FILE *out)
{
    static const double CLOSE = 1e-4;
    fputs("What was asked of other sizes is modelled, from what this run's "
          "GPUs did",
          out);
    if (o->fit > CLOSE)
        fprintf(out,
                "; a part of it was priced, whose times differ from all "
                "of it by %s at most",
                moe_percent_cell(o->fit).text);
    fputs(".\n", out);
}

void moe_outlook_say(const moe_outlook *o, const moe_view *v, FILE *out)
{
    const moe_break_even b = moe_break_even_of(v);
    if (o->known)
        say_lead(o, v, out);
    if (b.strategy >= 0 && b.rival >= 0)
        say_overhead(&b, v, out);
    if (b.without >= 0 && !isnan(b.recall_most))
        say_accuracy(&b, v, out);
    if (o->known) {
        say_stages(o, v, out);
        say_turns(o, v, out);
        say_fit(o, out);
    } else {
        fprintf(out,
                "Other batches, links and balances cannot be priced: "
                "%s.\n",
                o->why);
    }
}
