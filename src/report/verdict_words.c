/* SPDX-License-Identifier: Apache-2.0 */
#include "run_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "moegps/table.h"

static void say_gaps(const moe_phase_gap *gap, FILE *out)
{
    for (int i = 0; i < MOE_ANALYSIS_GAPS && gap[i].phase >= 0; i++) {
        char text[32];
        moe_format_time(fabs(gap[i].gap_s), text, sizeof text);
        fprintf(out, "%s %s %c%s", i == 0 ? ":" : ",",
                moe_phase_name((moe_phase)gap[i].phase),
                gap[i].gap_s < 0 ? '-' : '+', text);
    }
    fputc('\n', out);
}

static void say_comparison(const moe_run_analysis *run, int s, FILE *out)
{
    const moe_strategy_view *x = &run->view->strategy[s];
    const moe_ratio *r = &x->speedup[run->verdict.clock];
    const char *sure = isnan(r->ci_low) ? " (too few iterations to be sure)"
                       : r->ci_low > 1.0 || r->ci_high < 1.0
                           ? ""
                           : " (within noise)";
    char factor[32];
    moe_format_number(r->ratio >= 1 ? r->ratio : 1 / r->ratio, 3, factor,
                      sizeof factor);
    fprintf(out, "%s: %s times as %s%s", x->name, factor,
            r->ratio >= 1 ? "fast" : "slow", sure);
    say_gaps(run->gap[s], out);
}

char *moe_verdict_why(const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const moe_clock clock = run->verdict.clock;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fprintf(out, "Against %s, per layer on the %s clock (%s):\n",
            view->strategy[view->reference_index].name, moe_clock_name(clock),
            moe_clock_origin(clock));
    const long head = ftell(out);
    for (int s = 0; s < view->dims.strategies && view->measured > 0; s++)
        if (s != view->reference_index &&
            !isnan(view->strategy[s].speedup[clock].ratio))
            say_comparison(run, s, out);
    const bool any = ftell(out) > head;
    if (fclose(out) == 0 && any)
        return text;
    free(text);
    return NULL;
}

/* @return the largest share of a strategy's prices of a phase that are from
 * there; NaN: not recorded. */
static double most_from(const moe_view *view, int phase,
                        moe_price_source source)
{
    double most = NAN;
    for (int s = 0; s < view->dims.strategies; s++)
        most = fmax(most, view->strategy[s].source[phase][source]);
    return most;
}

void moe_executed_say(const moe_run_analysis *run, char *text, size_t size)
{
    const moe_view *view = run->view;
    const char *ffn = "";
    char width[160] = "";
    text[0] = '\0';
    if (run->verdict.clock != MOE_CLOCK_WALL)
        return;
    if (strcmp(view->ffn, "none") == 0)
        ffn = "No FFN was computed (emulation.ffn: none): measured times are "
              "of coordination and exchange.";
    else if (strcmp(view->ffn, "exact") == 0)
        ffn = "Integers stood for the FFN (emulation.ffn: exact): measured "
              "times are no experts'.";
    if (view->scale > 1)
        snprintf(width, sizeof width,
                 "Rows and experts were computed at 1/%g of their width; the "
                 "gpu clock is of the full size.",
                 view->scale);
    snprintf(text, size, "%s%s%s", ffn,
             ffn[0] != '\0' && width[0] != '\0' ? " " : "", width);
}

void moe_prices_say(const moe_view *view, char *text, size_t size)
{
    bool known = false, analytic = false;
    const char *comma = "Shares of prices that were extrapolated beyond "
                        "measured rows, in the strategy with most:";
    text[0] = '\0';
    FILE *out = fmemopen(text, size, "w");
    if (out == NULL)
        return;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        const double share = most_from(view, p, MOE_PRICE_EXTRAPOLATED);
        known = known || !isnan(share);
        analytic = analytic || most_from(view, p, MOE_PRICE_ANALYTIC) > 0;
        if (!(share > 0))
            continue;
        fprintf(out, "%s %s %s", comma, moe_phase_name((moe_phase)p),
                moe_percent_cell(share).text);
        comma = ",";
    }
    fputs(comma[0] == ',' ? "."
          : analytic      ? "All prices are from data sheet numbers."
          : known ? "All prices are from measured rows, or between them."
                  : "The file does not say which prices were extrapolated.",
          out);
    fclose(out);
}

/* "1.23 times as fast as X (95 % interval 1.2 .. 1.3, n = 12)". */
static void say_ratio(const moe_ratio *r, const char *other, FILE *out)
{
    fprintf(out, "%s times as fast as %s", moe_number_cell(r->ratio).text,
            other);
    if (isnan(r->ci_low))
        fprintf(out, " (n = %zu: too few for an interval)", r->n);
    else
        fprintf(out, " (95 %% interval %s, n = %zu)",
                moe_interval_cell(moe_number_cell(r->ci_low),
                                  moe_number_cell(r->ci_high))
                    .text,
                r->n);
}

static void say_others(const moe_view *view, const moe_verdict *v, FILE *out)
{
    const moe_strategy_view *best = &view->strategy[v->best];
    if (v->best == view->reference_index) {
        fputs(", ", out);
        say_ratio(&v->margin, view->strategy[v->second].name, out);
        return;
    }
    fputs(", ", out);
    say_ratio(&best->speedup[v->clock],
              view->strategy[view->reference_index].name, out);
    if (v->second == view->reference_index)
        return;
    fputs(" and ", out);
    say_ratio(&v->margin, view->strategy[v->second].name, out);
}

void moe_verdict_say(const moe_run_analysis *run, char *text, size_t size)
{
    const moe_view *view = run->view;
    const moe_verdict *v = &run->verdict;
    FILE *out = fmemopen(text, size, "w");
    if (out == NULL)
        return;
    if (v->best < 0 && v->oracle >= 0) {
        fprintf(
            out,
            "Only oracles were measured, which cannot be built: with %s a "
            "layer takes %s on the %s clock (%s).",
            view->strategy[v->oracle].name,
            moe_time_cell(view->strategy[v->oracle].summary[v->clock].median)
                .text,
            moe_clock_name(v->clock), moe_clock_origin(v->clock));
    } else if (v->best < 0) {
        fputs("Nothing was measured that could be compared.", out);
    } else {
        const moe_strategy_view *best = &view->strategy[v->best];
        const moe_ratio *margin = &v->margin;
        const bool sure = margin->ci_low > 1;
        fprintf(out, "%s%s: a layer takes %s on the %s clock (%s)", best->name,
                v->second < 0           ? " ran alone"
                : sure                  ? " is fastest"
                : isnan(margin->ci_low) ? " looks fastest"
                                        : " leads within noise",
                moe_time_cell(best->summary[v->clock].median).text,
                moe_clock_name(v->clock), moe_clock_origin(v->clock));
        if (v->second >= 0)
            say_others(view, v, out);
        fputc('.', out);
    }
    fclose(out);
}
