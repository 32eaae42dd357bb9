/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>

#include "contents.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/verdict.h"

enum {
    TYPICAL = MOE_ADVISE_TYPICAL,
    WHYS = 3 /* phases that say why */
};

static const char *name_of(moe_advise_strategy s)
{
    return moe_advise_strategy_name(s);
}

/* Microseconds with four digits. */
static moe_cell us_cell(double s)
{
    return moe_value_cell(1e6 * s);
}

static const char *planner_of(const moe_advise_params *p)
{
    return p->planner != NULL ? p->planner->name : "duplicate";
}

static void say_memory(moe_document *doc, const moe_advise_params *p,
                       const moe_advise_facts *f)
{
    moe_doc_fact(doc, "memory",
                 "room for copies %s per GPU, experts in all %s of %s",
                 moe_bytes_cell(f->copy_bytes).text,
                 moe_bytes_cell(f->expert_bytes).text,
                 moe_bytes_cell(p->cluster->memory_bytes).text);
}

/* What is expected, and what the batches that were drawn from it have. */
static void say_load_by_hand(moe_document *doc, const moe_advise_params *p,
                             const moe_advise_facts *f)
{
    const char *shape = p->bottleneck
                            ? "of the busiest GPU"
                            : "of the busiest expert, a power law, homes at "
                              "random";
    if (p->dials.paper) {
        moe_doc_fact(doc, "load",
                     "by hand, skewness %.2f %s; the batch has it exactly; "
                     "distribution error %.3f; %d sample%s",
                     f->skew, shape, f->error, f->samples,
                     f->samples == 1 ? "" : "s");
        return;
    }
    moe_doc_fact(doc, "load", "by hand, skewness %.2f %s, expected", p->skew,
                 shape);
    moe_doc_fact(doc, "batch",
                 "drawn from it: its own skewness %.2f, and %.3f off what was "
                 "expected; a distribution error of %.3f, told, is drift on "
                 "top; %d sample%s",
                 f->skew, f->sampling, f->error, f->samples,
                 f->samples == 1 ? "" : "s");
}

static void say_load_of_trace(moe_document *doc, const moe_advise_params *p,
                              const moe_advise_facts *f)
{
    moe_doc_fact(doc, "load",
                 "%s, skewness %.2f, distribution error %.3f; %d sample%s",
                 p->dials.rebalance_every == 1
                     ? "of the trace"
                     : "of the trace, a sample the mean of an interval",
                 f->skew, f->error, f->samples, f->samples == 1 ? "" : "s");
    if (f->over_limit > 0)
        moe_doc_fact(
            doc, "group_limit",
            "%.1f %% of the trace's tokens have experts at home in more "
            "than %d node%s: it was not routed so, and its rows are "
            "counted as they went",
            100 * f->over_limit, p->serving.group_limit,
            p->serving.group_limit == 1 ? "" : "s");
    else if (!isnan(f->over_limit))
        moe_doc_fact(doc, "group_limit", "kept by all tokens of the trace");
    if (f->passes > 1)
        moe_doc_fact(doc, "", "the trace's test part is used %.1f times",
                     f->passes);
}

const char *moe_words_cached(const moe_serving *s)
{
    return s->phase == MOE_SERVE_DECODE && s->kv_len == 0
               ? ", over as many tokens as positions say"
               : "";
}

void moe_say_lookahead(moe_document *doc, int lookahead)
{
    if (lookahead != MOE_LOOKAHEAD_ALL)
        moe_doc_fact(doc, "lookahead",
                     "a layer is planned during the one %d before it, by "
                     "collectives of its own",
                     lookahead);
}

static void say_inputs(moe_document *doc, const moe_advise_params *p,
                       const moe_advise_facts *f)
{
    const moe_advise_dials *d = &p->dials;
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "modelled: %s on %d GPUs of %s (%s prices), a layer of "
                "%.0f tokens",
                p->model->name, p->gpus, p->cluster->name, p->cluster->cost,
                f->tokens);
    moe_doc_begin(doc, MOE_DOC_FACTS);
    if (!moe_serving_is_default(&p->serving)) {
        char deployment[256];
        moe_serving_text(&p->serving, deployment, sizeof deployment);
        moe_doc_fact(doc, "deployment", "%s%s%s", deployment,
                     moe_words_cached(&p->serving),
                     p->trace == NULL && moe_serving_shares_rows(&p->serving)
                         ? "; a token's experts as if chosen independently of "
                           "each other"
                         : "");
    }
    if (p->trace == NULL)
        say_load_by_hand(doc, p, f);
    else
        say_load_of_trace(doc, p, f);
    moe_doc_fact(
        doc, "slots",
        "%d per GPU and layer, %d for homes; %.0f copies; a plan every "
        "%d iteration%s",
        f->slots, f->home_slots, f->copies, d->rebalance_every,
        d->rebalance_every == 1 ? "" : "s");
    moe_doc_fact(doc, "tokens",
                 "predicted right %.1f %%, overhead %.4g us + %.3g %% of the "
                 "baseline, %s",
                 100 * d->accuracy, 1e6 * d->overhead_s,
                 100 * d->overhead_share,
                 d->overhead_hidden ? "hidden by attention" : "exposed");
    if (p->split != NULL)
        moe_doc_fact(doc, "split", "%s: %s", p->split->name, p->split->help);
    moe_say_lookahead(doc, d->lookahead);
    if (d->paper)
        moe_doc_fact(doc, "copies",
                     "as the paper has them: they neither travel nor cost the "
                     "reading of weights");
    if (p->trace != NULL)
        moe_doc_fact(doc, "plans",
                     "of distribution-only: the first moves %s a layer, in no "
                     "time below; later ones %s a batch and layer",
                     moe_bytes_cell(f->first_bytes).text,
                     moe_bytes_cell(f->moved_bytes).text);
    say_memory(doc, p, f);
}

/* What walks through a trace took, an interval each. */
static void say_intervals(moe_document *doc, const moe_advice *v)
{
    static const moe_column columns[] = {
        {"interval", "batches", MOE_RIGHT},
        {"plans", NULL, MOE_RIGHT},
        {"baseline", "us", MOE_RIGHT},
        {"distribution-only", "us", MOE_RIGHT},
        {"token-to-expert", "us", MOE_RIGHT},
        {"oracle", "us", MOE_RIGHT},
        {"moved", "per batch and layer", MOE_RIGHT}};
    if (v->n_intervals == 0)
        return;
    const int best = moe_advise_best_interval(v->interval, v->n_intervals,
                                              MOE_ADVISE_DISTRIBUTION);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "intervals between plans, means of a layer over the same "
                "batches; distribution-only is fastest with %d, which all else "
                "is of",
                v->interval[best].every);
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int i = 0; i < v->n_intervals; i++) {
        const moe_advise_interval *w = &v->interval[i];
        moe_table_cell(t, "%d", w->every);
        moe_table_cell(t, "%d", w->plans);
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            moe_table_put(t, us_cell(w->layer_s[s]));
        moe_table_put(t, moe_bytes_cell(w->moved_bytes));
    }
}

/* What is assumed of a predictor of tokens is said where it is shown. */
static void put_name(moe_table *t, const moe_advise_params *p,
                     moe_advise_strategy s)
{
    if (s == MOE_ADVISE_TOKEN)
        moe_table_cell(t, "if right for %.3g %%", 100 * p->dials.accuracy);
    else
        moe_table_cell(t, "%s", name_of(s));
}

/* By hand the cases of the error; a trace has its own spread, over batches or,
 * where a plan serves several, over the means of those between two plans. */
static void say_cases(moe_document *doc, const moe_advise_params *p,
                      const moe_advice *v)
{
    const bool traced = p->trace != NULL;
    const char *of = !traced                        ? "us"
                     : p->dials.rebalance_every > 1 ? "interval, us"
                                                    : "batch, us";
    const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {traced ? "fastest" : "optimistic", of, MOE_RIGHT},
        {traced ? "median" : "typical", "us", MOE_RIGHT},
        {"95 % CI", "us", MOE_RIGHT},
        {traced ? "slowest" : "pessimistic", of, MOE_RIGHT},
        {"vs baseline", "1", MOE_RIGHT},
        {"imbalance", "max/mean", MOE_RIGHT}};
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        const moe_advise_time *m = v->time[s];
        const double typical_s = m[TYPICAL].layer_s;
        const double low_s =
            traced ? m[TYPICAL].least_s : m[MOE_ADVISE_OPTIMISTIC].layer_s;
        const double high_s =
            traced ? m[TYPICAL].most_s : m[MOE_ADVISE_PESSIMISTIC].layer_s;
        put_name(t, p, s);
        moe_table_put(t, moe_digits_cell(1e6 * low_s, 4));
        moe_table_put(t, moe_digits_cell(1e6 * typical_s, 4));
        moe_table_interval(t, us_cell, m[TYPICAL].ci_low, m[TYPICAL].ci_high);
        moe_table_put(t, moe_digits_cell(1e6 * high_s, 4));
        moe_table_put(
            t, moe_digits_cell(v->time[0][TYPICAL].layer_s / typical_s, 4));
        moe_table_put(t, moe_number_cell(m[TYPICAL].imbalance));
    }
}

/* By the phase in which it loses most against the baseline. */
static const char *why_oracle_loses(const moe_advice *v)
{
    double more_s[MOE_N_PHASES];
    for (int p = 0; p < MOE_N_PHASES; p++)
        more_s[p] = v->time[MOE_ADVISE_ORACLE][TYPICAL].exposed_s[p] -
                    v->time[MOE_ADVISE_BASELINE][TYPICAL].exposed_s[p];
    switch (moe_most(more_s, MOE_N_PHASES)) {
    case MOE_PHASE_MIGRATE:
        return "it copies anew for every batch";
    case MOE_PHASE_ATTENTION:
        return "rows that go ahead of the router lengthen attention by more "
               "than they save";
    case MOE_PHASE_FFN:
        return "reading the weights of copies takes longer";
    default:
        return "predicting and planning take longer than they save";
    }
}

/* What is no recommendation. */
static void say_unavailable(moe_document *doc, const moe_advise_params *p,
                            const moe_advice *v)
{
    const double base_s = v->time[MOE_ADVISE_BASELINE][TYPICAL].layer_s;
    if (v->time[MOE_ADVISE_ORACLE][TYPICAL].layer_s > base_s)
        moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                    "The oracle is slower than doing nothing: %s.",
                    why_oracle_loses(v));
    if (moe_advise_can_win(&p->dials, MOE_ADVISE_TOKEN))
        return;
    const double token_s = v->time[MOE_ADVISE_TOKEN][TYPICAL].layer_s;
    const double best_s = v->time[v->winner[TYPICAL]][TYPICAL].layer_s;
    const bool faster = token_s < best_s;
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "If a predictor were right for %.3g %% of tokens' experts: "
                "%.1f %% %s than what is recommended. ",
                100 * p->dials.accuracy,
                100 * (faster ? best_s / token_s - 1 : token_s / best_s - 1),
                faster ? "faster" : "slower");
    fprintf(moe_doc_words(doc),
            p->measured != NULL
                ? "So right was %s, on other traffic: no recommendation."
                : "That is assumed: no recommendation.%s",
            p->measured != NULL ? p->measured : "");
}

static void say_phases(moe_document *doc, const moe_advice *v)
{
    static const moe_column columns[] = {
        {"phase", NULL, MOE_LEFT},
        {"baseline", "us (hidden)", MOE_RIGHT},
        {"distribution-only", "us (hidden)", MOE_RIGHT},
        {"token-to-expert", "us (hidden)", MOE_RIGHT},
        {"oracle", "us (hidden)", MOE_RIGHT}};
    moe_table *t = moe_doc_table(
        doc, "phases, typical case: exposed, and what other work hides",
        columns, MOE_ARRAY_LEN(columns));
    for (int p = 0; p < MOE_N_PHASES; p++) {
        moe_table_cell(t, "%s", moe_phase_name((moe_phase)p));
        for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
            const moe_advise_time *m = &v->time[s][TYPICAL];
            const double hidden_s = m->gpu_s[p] - m->exposed_s[p];
            if (hidden_s > 1e-12)
                moe_table_cell(t, "%s (%s)", us_cell(m->exposed_s[p]).text,
                               us_cell(hidden_s).text);
            else
                moe_table_put(t, us_cell(m->exposed_s[p]));
        }
    }
}

/* The phases in which winner and second differ most. */
static void say_why(moe_document *doc, const moe_advice *v)
{
    static const double LITTLE_S = 1e-9;
    const moe_advise_time *a = &v->time[v->winner[TYPICAL]][TYPICAL];
    const moe_advise_time *b = &v->time[v->second[TYPICAL]][TYPICAL];
    moe_phase_gap gap[WHYS];
    moe_phase_gaps(b->exposed_s, a->exposed_s, gap, WHYS);
    moe_doc_fact(doc, "why", "%s", "");
    for (int n = 0; n < WHYS && fabs(gap[n].gap_s) >= LITTLE_S; n++)
        fprintf(moe_doc_words(doc), "%s%s %s us in %s", n > 0 ? ", " : "",
                gap[n].gap_s > 0 ? "saves" : "loses",
                us_cell(fabs(gap[n].gap_s)).text,
                moe_phase_name((moe_phase)gap[n].phase));
}

/* What has a sign whether the verdict survives it. */
static const char *survival(bool survives)
{
    return survives ? "survives" : "does not survive";
}

/* What no measurement is near of: more nodes, other shapes, links between nodes. */
static void say_extrapolated(moe_document *doc, const moe_advise_time *time)
{
    if (time->extrapolated == 0)
        return;
    moe_doc_fact(doc, "", "beyond what was measured, by fitted models:");
    FILE *out = moe_doc_words(doc);
    const char *before = " ";
    for (int p = 0; p < MOE_N_PHASES; p++)
        if ((time->extrapolated & 1u << p) != 0) {
            fprintf(out, "%s%s", before, moe_phase_name((moe_phase)p));
            before = ", ";
        }
}

static void say_sure(moe_document *doc, const moe_advice *v, bool traced)
{
    if (traced)
        moe_doc_fact(doc, "how sure", "the faster in %.0f %% of samples",
                     100 * v->share);
    else
        moe_doc_fact(doc, "how sure", "error cases: %s",
                     v->survives_cases ? "the same winner in all three" : "");
    for (int c = 0; c < MOE_ADVISE_CASES && !traced && !v->survives_cases; c++)
        fprintf(moe_doc_words(doc), "%s%s %s", c > 0 ? ", " : "",
                moe_advise_case_name((moe_advise_case)c),
                name_of(v->winner[c]));
    if (isnan(v->ci_low))
        moe_doc_fact(doc, "", "samples: too few for an interval (%d)",
                     v->facts.samples);
    else
        moe_doc_fact(doc, "",
                     "samples: second / winner %.3f .. %.3f (95 %%), %s",
                     v->ci_low, v->ci_high, survival(v->survives_ci));
    moe_doc_fact(
        doc, "", "cost model: prices %s; ",
        moe_price_source_name(v->time[v->winner[TYPICAL]][TYPICAL].source));
    FILE *out = moe_doc_words(doc);
    if (isnan(v->error))
        fputs("their error is not known", out);
    else
        fprintf(out,
                "two of three off by up to %s, which leaves a lead of %s .. "
                "%s us, %s",
                moe_percent_cell(v->error).text, us_cell(v->lead.low_s).text,
                us_cell(v->lead.high_s).text, survival(v->survives_error));
    fprintf(out, "; turns at %s", moe_percent_cell(v->lead.turns_at).text);
    say_extrapolated(doc, &v->time[v->winner[TYPICAL]][TYPICAL]);
}

static void say_limit(moe_document *doc, const char *name, double value,
                      const char *unit, const char *none)
{
    if (isnan(value))
        moe_doc_fact(doc, name, "%s", none);
    else
        moe_doc_fact(doc, name, "%s %s", moe_value_cell(value).text, unit);
}

static void say_limits(moe_document *doc, const moe_advise_params *p,
                       const moe_advise_limits *l)
{
    const char *link = l->network ? "another winner at network bandwidth"
                                  : "another winner at link bandwidth";
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "break-even with planner %s and split %s, typical case, all "
                "else equal",
                planner_of(p), moe_advice_split(p));
    moe_doc_begin(doc, MOE_DOC_FACTS);
    say_limit(doc, "tokens beat distribution from accuracy", 100 * l->accuracy,
              "%", "never");
    say_limit(doc, "... and up to an overhead of", 1e6 * l->overhead_s,
              "us a layer", "none");
    if (p->serving.kernel != MOE_SERVE_NCCL) {
        moe_doc_fact(
            doc, link,
            "not looked for: the kernel was measured on its own links");
    } else {
        say_limit(doc, link, 1e-9 * l->bandwidth_low, "GB/s and below",
                  "none down to 1/256");
        say_limit(doc, link, 1e-9 * l->bandwidth_high, "GB/s and above",
                  "none up to 256 times");
    }
    if (p->trace == NULL) {
        say_limit(doc, "another winner at skewness", l->skew_low, "and below",
                  "none below");
        say_limit(doc, "another winner at skewness", l->skew_high, "and above",
                  "none above");
        char never[64];
        snprintf(never, sizeof never, "never up to %.0f tokens",
                 l->tokens_most);
        say_limit(doc, "distribution beats baseline from a batch of", l->tokens,
                  "tokens", never);
    }
    if (p->trace == NULL)
        say_limit(doc, "tokens beat baseline from a plan every", l->rebalance,
                  "iterations", "never");
}

void moe_report_advice(moe_document *doc, const moe_advise_params *p,
                       const moe_advice *v)
{
    say_inputs(doc, p, &v->facts);
    say_intervals(doc, v);
    say_cases(doc, p, v);
    say_unavailable(doc, p, v);
    say_phases(doc, v);
    if (!p->dials.paper)
        moe_say_model(doc, p, &v->model);
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "use",
                 "%s: %.1f %% faster than %s (typical case; planner %s, split "
                 "%s)",
                 name_of(v->winner[TYPICAL]), 100 * v->margin,
                 name_of(v->second[TYPICAL]), planner_of(p),
                 moe_advice_split(p));
    say_why(doc, v);
    say_sure(doc, v, p->trace != NULL);
    if (!p->no_limits)
        say_limits(doc, p, &v->limits);
}
