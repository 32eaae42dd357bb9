/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <string.h>

#include "moegps/mem.h"

static void say_gaps(const moe_phase_gap *gap, FILE *out)
{
    for (int i = 0; i < MOE_ANALYSIS_GAPS && gap[i].phase >= 0; i++)
        fprintf(out, "%s %s %c%s", i == 0 ? ":" : ",",
                moe_phase_name((moe_phase)gap[i].phase),
                gap[i].gap_s < 0 ? '-' : '+',
                moe_time_cell(fabs(gap[i].gap_s)).text);
}

/* Whether weights that travel are among what costs most. */
static bool travels(const moe_phase_gap *gap)
{
    for (int i = 0; i < MOE_ANALYSIS_GAPS && gap[i].phase >= 0; i++)
        if (gap[i].phase == MOE_PHASE_MIGRATE)
            return gap[i].gap_s > 0;
    return false;
}

static void say_comparison(const moe_run_analysis *run, int s, FILE *out)
{
    const moe_strategy_view *x = &run->view->strategy[s];
    const moe_ratio *r = &x->speedup[run->verdict.clock];
    const char *sure =
        isnan(r->ci_low) ? " (too few independent batches to be sure)"
        : r->ci_low > 1.0 || r->ci_high < 1.0 ? ""
                                              : " (within noise)";
    fprintf(out, ": %s times as %s%s",
            moe_number_cell(r->ratio >= 1 ? r->ratio : 1 / r->ratio).text,
            r->ratio >= 1 ? "fast" : "slow", sure);
    say_gaps(run->gap[s], out);
    if (x->facts.knows_future && r->ci_high < 1 && travels(run->gap[s]))
        fputs("; it copies anew for every plan", out);
}

void moe_say_gaps(moe_document *doc, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const moe_clock clock = run->verdict.clock;
    bool any = false;
    for (int s = 0; s < view->dims.strategies && view->measured > 0; s++) {
        if (s == view->reference_index ||
            isnan(view->strategy[s].speedup[clock].ratio))
            continue;
        if (!any)
            moe_doc_say(doc, MOE_DOC_LIST,
                        "Against %s, per layer on the %s clock (%s):",
                        view->strategy[view->reference_index].name,
                        moe_clock_name(clock), moe_clock_origin(clock));
        any = true;
        moe_doc_say(doc, MOE_DOC_ITEM, "%s", view->strategy[s].name);
        say_comparison(run, s, moe_doc_words(doc));
    }
}

void moe_say_change(moe_document *doc, const moe_run_analysis *run)
{
    if (!run->sensitivity.analysed)
        return;
    moe_say_stages(doc, run);
    moe_say_sensitivity(doc, run);
}

/* ---- what to mind ---- */

/* What was executed on this machine, if measured times depend on it: nothing
 * where the FFN was computed at full size, or the gpu clock counts. */
static void say_executed(moe_document *doc, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const bool none = strcmp(view->ffn, "none") == 0;
    const bool exact = strcmp(view->ffn, "exact") == 0;
    if (view->pace.phase[MOE_PACE_FFN])
        return; /* has words of its own */
    if (run->verdict.clock != MOE_CLOCK_WALL ||
        (!none && !exact && !(view->scale > 1)))
        return;
    moe_doc_say(doc, MOE_DOC_ITEM, "%s",
                none    ? "No FFN was computed (emulation.ffn: none): measured "
                          "times are of coordination and exchange."
                : exact ? "Integers stood for the FFN (emulation.ffn: exact): "
                          "measured times are no experts'."
                        : "");
    if (view->scale > 1)
        fprintf(moe_doc_words(doc),
                "%sRows and experts were computed at 1/%g of their width; the "
                "gpu clock is of the full size.",
                none || exact ? " " : "", view->scale);
}

/* Prices that are not simply measured, and what to say of them. */
static const struct {
    moe_price_source source;
    const char *words;
} less_sure[] = {
    {MOE_PRICE_EXTRAPOLATED, "were extrapolated beyond measured rows"},
    {MOE_PRICE_SCALED, "were scaled from another GPU, link or width"},
    {MOE_PRICE_SLOW_KERNEL,
     "are of a kernel that is known to fall to 15-20 % of the memory "
     "bandwidth there"},
};

static void say_sources(const moe_view *view, FILE *out)
{
    bool known = false, analytic = false;
    const char *begin = "";
    for (size_t i = 0; i < MOE_ARRAY_LEN(less_sure); i++) {
        const char *comma = ":";
        for (int p = 0; p < MOE_N_PHASES; p++) {
            const double share = moe_most_priced(view, p, less_sure[i].source);
            known = known || !isnan(share);
            analytic =
                analytic || moe_most_priced(view, p, MOE_PRICE_ANALYTIC) > 0;
            if (!(share > 0))
                continue;
            if (comma[0] == ':')
                fprintf(out,
                        "%sShares of prices that %s, in the strategy with most",
                        begin, less_sure[i].words);
            fprintf(out, "%s %s %s", comma, moe_phase_name((moe_phase)p),
                    moe_percent_cell(share).text);
            comma = ",";
        }
        if (comma[0] == ',') {
            fputc('.', out);
            begin = " ";
        }
    }
    if (begin[0] == '\0')
        fputs(analytic ? "All prices are from data sheet numbers."
              : known  ? "All prices are from measured rows, or between them."
                       : "The file does not say where prices are from.",
              out);
}

static void say_bindings(moe_document *doc, const moe_run_analysis *run)
{
    if (run->detailed && run->detail.unbound > 0 && run->view->dims.ranks > 1)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "%d of %d ranks were not bound: each could use all cores "
                    "of its node, and may have moved between them.",
                    run->detail.unbound, run->detail.ranks);
}

static void say_samples(moe_document *doc, const moe_view *v)
{
    const int needed = MOE_STATS_MIN_CI * v->period;
    if (v->measured < needed)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "Few samples: %d iterations were measured by all "
                    "strategies, and intervals need %d.",
                    v->measured, needed);
    if (strcmp(v->status, "complete") != 0)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "The run is not complete: %d of %d iterations, status %s.",
                    v->measured, v->dims.iterations,
                    strcmp(v->status, "running") == 0 ? "running, or killed"
                                                      : v->status);
    if (!v->valid)
        moe_doc_say(doc, MOE_DOC_ITEM, "Validation %s: %s.", v->validation,
                    moe_known(v->validation_text));
}

static void say_prices(moe_document *doc, const moe_run_analysis *run)
{
    const char *cost = moe_detail_fact(&run->detail, MOE_FACT_COST_MODEL);
    moe_doc_say(doc, MOE_DOC_ITEM,
                "Times of the gpu clock are modelled for cluster %s%s%s. ",
                moe_known(run->view->cluster),
                cost[0] != '\0' ? " by cost model " : "", cost);
    say_sources(run->view, moe_doc_words(doc));
}

/* Whether the run itself warned of it. */
static bool says_oversubscribed(const moe_view *v)
{
    for (size_t i = 0; i < v->n_warnings; i++)
        if (strncmp(v->warnings[i], "oversubscribed", 14) == 0)
            return true;
    return false;
}

void moe_say_warnings(moe_document *doc, const moe_run_analysis *run, bool page,
                      bool warned)
{
    const moe_view *v = run->view;
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    moe_say_lateness(doc, v);
    moe_say_overlap(doc, v);
    if (v->oversubscribed && !moe_verdict_is_paced(v) &&
        !says_oversubscribed(v))
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "wall clock is not a result here: ranks share cores; "
                    "read the gpu clock");
    if (page) {
        say_bindings(doc, run);
        say_samples(doc, v);
    }
    for (size_t i = 0; !warned && i < v->n_warnings; i++)
        moe_doc_say(doc, MOE_DOC_ITEM, "%s", v->warnings[i]);
    if (page && !run->detailed)
        moe_doc_say(doc, MOE_DOC_ITEM, "%s", run->no_detail.text);
    say_executed(doc, run);
    if (page)
        say_prices(doc, run);
}

/* ---- what it is ---- */

static void say_sizes(moe_document *doc, const moe_view *v)
{
    const moe_ledger_dims *d = &v->dims;
    moe_doc_fact(doc, "model", "%s: %d layers of %d experts",
                 moe_known(v->model), d->layers, d->experts);
    moe_doc_fact(doc, "cluster",
                 "%s: %d GPUs, emulated by %d ranks on %d node%s",
                 moe_known(v->cluster), d->gpus, d->ranks, v->nodes,
                 v->nodes == 1 ? "" : "s");
    if (v->serving[0] != '\0')
        moe_doc_fact(doc, "deployment", "%s", v->serving);
    moe_doc_fact(doc, "trace", "%s", moe_known(v->trace));
    moe_doc_fact(doc, "SHA-256", "%s", moe_known(v->trace_sha256));
    moe_doc_fact(doc, "iterations",
                 "n = %d of %d measured, after %d to warm up", v->measured,
                 d->iterations, d->warmup);
    if (v->period > 1)
        moe_doc_fact(doc, "samples",
                     "n / %d: means over the iterations that a plan serves",
                     v->period);
    if (v->measured < MOE_STATS_MIN_CI * v->period)
        moe_doc_fact(doc, "intervals", "none: they need %d iterations",
                     MOE_STATS_MIN_CI * v->period);
}

void moe_say_run(moe_document *doc, const moe_view *v)
{
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "file", "%s", v->path);
    moe_doc_fact(doc, "run", "%s", v->run_id);
    moe_doc_fact(doc, "date", "%s", v->date);
    moe_doc_fact(doc, "program", "%s", v->source);
    say_sizes(doc, v);
    moe_doc_fact(doc, "status", "%s",
                 strcmp(v->status, "running") == 0
                     ? "running, or killed before its end"
                     : v->status);
    moe_doc_fact(doc, "validation", "%s", v->validation);
    moe_doc_fact(doc, "checked", "%s", moe_known(v->validation_text));
}

/* ---- the verdict ---- */

/* "1.23 times as fast as X (95 % interval 1.2 .. 1.3, n = 12)". */
static void say_ratio(const moe_ratio *r, const char *other, FILE *out)
{
    fprintf(out, "%s times as fast as %s", moe_number_cell(r->ratio).text,
            other);
    if (isnan(r->ci_low))
        fprintf(out, " (n = %zu: too few independent batches for an interval)",
                r->n);
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

/* "dist (predictor distribution, planner balance, split quota, 3 slots a GPU)".
 * Planner auto is static or, with a predictor, balance. */
static void say_strategy(const moe_strategy_view *x, FILE *out)
{
    const moe_strategy_facts *f = &x->facts;
    fputs(x->name, out);
    if (f->predictor[0] == '\0')
        return;
    const bool chosen = strcmp(f->planner, "auto") == 0;
    const char *planner = chosen ? "balance" : f->planner;
    if (strcmp(f->predictor, "none") == 0 &&
        (chosen || strcmp(f->planner, "static") == 0))
        fputs(" (nothing is predicted, experts stay at home)", out);
    else if (f->slots > 0)
        fprintf(out, " (predictor %s, planner %s, split %s, %d slots a GPU)",
                f->predictor, planner, f->split, f->slots);
    else
        fprintf(out, " (predictor %s, planner %s, split %s)", f->predictor,
                planner, f->split);
}

/* What to do, if anything follows; whose time comes next. */
static void say_advice(const moe_view *view, const moe_verdict *v, FILE *out)
{
    static const struct {
        const char *before, *behind;
    } words[] = {
        [MOE_DOUBT_NONE] = {"Use ", ""},
        [MOE_DOUBT_ALONE] = {"", " ran alone"},
        [MOE_DOUBT_ONE_GPU] = {"No verdict, as one GPU has nothing to "
                               "balance. ",
                               " has the lowest median"},
        [MOE_DOUBT_FEW] = {"No verdict, of too few independent "
                           "batches. ",
                           " has the lowest median"},
        [MOE_DOUBT_OVERLAP] = {"No verdict: the lead is within noise. ",
                               " has the lowest median"}};
    const bool fails = strcmp(view->validation, "fail") == 0;
    fputs(fails ? "Do not use these numbers: the run failed its checks. "
                : words[v->doubt].before,
          out);
    say_strategy(&view->strategy[v->best], out);
    fputs(fails ? " has the lowest median" : words[v->doubt].behind, out);
}

/* Whether the prices' own error may turn a verdict of the gpu clock. */
static void say_price_error(const moe_run_analysis *run, FILE *out)
{
    const moe_sensitivity *o = &run->sensitivity;
    if (run->verdict.doubt != MOE_DOUBT_NONE || !o->analysed ||
        o->winner != run->verdict.best || isnan(o->lead.low_s))
        return;
    fputs(o->lead.low_s > 0
              ? " The lead is more than two of three prices are wrong by."
              : " Prices may be wrong by as much as the lead.",
          out);
}

/* What times are. */
static void say_assumption(const moe_run_analysis *run, FILE *out)
{
    const moe_view *view = run->view;
    switch (run->verdict.clock) {
    case MOE_CLOCK_WALL:
        fputs(moe_verdict_is_paced(view)
                  ? " Times were measured on this machine (wall clock); "
                    "attention and FFN kept the pace of the cost model."
                  : " Times were measured on this machine (wall clock), "
                    "without attention.",
              out);
        return;
    case MOE_CLOCK_CPU:
        fputs(" Times are the ranks' CPU time, measured (cpu clock).", out);
        return;
    default:
        break;
    }
    fprintf(out,
            " Times are modelled (gpu clock): prices of cluster %s for what "
            "every GPU did on %d batch%s",
            moe_known(view->cluster), view->measured,
            view->measured == 1 ? "" : "es");
    if (view->tokens > 0)
        fprintf(out, " of %.0f tokens", view->tokens);
    fputs(".", out);
    say_price_error(run, out);
}

void moe_verdict_say(const moe_run_analysis *run, FILE *out)
{
    const moe_view *view = run->view;
    const moe_verdict *v = &run->verdict;
    if (v->best < 0 && v->oracle < 0) {
        fputs("Nothing was measured that could be compared.", out);
        return;
    }
    if (v->best < 0)
        fprintf(out,
                "Only oracles were measured, which cannot be built: with "
                "%s",
                view->strategy[v->oracle].name);
    else
        say_advice(view, v, out);
    const int of = v->best < 0 ? v->oracle : v->best;
    fprintf(out, "%s a layer takes %s", v->best < 0 ? "" : ":",
            moe_time_cell(view->strategy[of].summary[v->clock].median).text);
    if (v->best >= 0 && v->second >= 0)
        say_others(view, v, out);
    fputs(".", out);
    say_assumption(run, out);
}
