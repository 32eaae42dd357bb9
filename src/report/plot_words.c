/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <stdio.h>

#include "moegps/mem.h"

/* Names of strategies and their numbers follow each other: "what: a 1, b 2." */

/* What is described. */
typedef struct subject {
    const moe_analysis *analysis;
    const moe_plot *plot;
    const moe_run_analysis *run; /* NULL: a map's */
    const moe_view *view;        /* of the run */
    moe_clock clock;             /* of it that counts */
    int shown;                   /* strategies that have a curve */
} subject;

static const char *name_of(const subject *x, int s)
{
    return x->view->strategy[s].name;
}

/* A figure has curves of so many strategies, and no more. */
static void end_curves(const subject *x, FILE *out)
{
    fputc('.', out);
    if (x->shown < x->view->dims.strategies)
        fprintf(out, " Shown are the first %d of %d strategies.", x->shown,
                x->view->dims.strategies);
}

/* ---- runs together ---- */

/* The end of every curve, of time or of efficiency. */
static void say_ends(const subject *x, bool efficiency, FILE *out)
{
    const moe_scaling *scaling = &x->analysis->scaling;
    for (int s = 0; s < x->shown; s++) {
        const moe_scaling_curve *curve = &scaling->curve[scaling->clock][s];
        const moe_scaling_point *last = &curve->point[curve->n_points - 1];
        fprintf(out, "%s %s %s", s > 0 ? "," : "", name_of(x, s),
                efficiency ? moe_percent_cell(last->efficiency.ratio).text
                           : moe_time_cell(last->time.median).text);
        if (s == 0)
            fprintf(out, " on %d GPUs", last->gpus);
    }
    end_curves(x, out);
}

static void say_scaling(const subject *x, FILE *out)
{
    const moe_clock clock = x->analysis->scaling.clock;
    fprintf(out, "Time of a layer against the number of GPUs, %s clock (%s):",
            moe_clock_name(clock), moe_clock_origin(clock));
    say_ends(x, false, out);
}

static void say_efficiency(const subject *x, FILE *out)
{
    const moe_clock clock = x->analysis->scaling.clock;
    fprintf(out,
            "Tokens per second and GPU over that of the fewest GPUs, %s "
            "clock (%s):",
            moe_clock_name(clock), moe_clock_origin(clock));
    say_ends(x, true, out);
}

/* ---- times of a run ---- */

static void say_speedup(const subject *x, FILE *out)
{
    fprintf(out, "Speed-up over %s on the %s clock (%s), with 95 %% intervals:",
            name_of(x, x->view->reference_index), moe_clock_name(x->clock),
            moe_clock_origin(x->clock));
    for (int s = 0; s < x->view->dims.strategies; s++) {
        const moe_ratio *r = &x->view->strategy[s].speedup[x->clock];
        fprintf(out, "%s %s %s (%s)", s > 0 ? "," : "", name_of(x, s),
                moe_number_cell(r->ratio).text,
                moe_interval_cell(moe_number_cell(r->ci_low),
                                  moe_number_cell(r->ci_high))
                    .text);
    }
    fputc('.', out);
}

static bool hides(const subject *x)
{
    for (int s = 0; s < x->view->dims.strategies; s++)
        if (x->view->strategy[s].hidden > 0)
            return x->clock == MOE_CLOCK_GPU;
    return false;
}

static void say_phases(const subject *x, FILE *out)
{
    fprintf(out, "Stacked medians of the phases of a layer, %s clock (%s)%s.",
            moe_clock_name(x->clock), moe_clock_origin(x->clock),
            hides(x) ? "; what attention hides is left of 0 (of "
                       "plans made ahead, what the whole layer hides)"
                     : "");
    for (int s = 0; s < x->view->dims.strategies; s++) {
        const double *phase = x->view->strategy[s].phase[x->clock];
        const int most = moe_most(phase, MOE_N_PHASES);
        if (most >= 0 && phase[most] > 0)
            fprintf(out, " %s: mostly %s, %s.", name_of(x, s),
                    moe_phase_name((moe_phase)most),
                    moe_time_cell(phase[most]).text);
    }
}

/* The least and the largest sample of the first strategies. */
static void say_extremes(const subject *x, int n, FILE *out)
{
    fputs(" Least to largest sample:", out);
    for (int s = 0; s < n; s++) {
        const moe_summary *t = &x->view->strategy[s].summary[x->clock];
        fprintf(out, "%s %s %s (n = %zu)", s > 0 ? "," : "", name_of(x, s),
                moe_interval_cell(moe_time_cell(t->min), moe_time_cell(t->max))
                    .text,
                t->n);
    }
}

static void say_ecdf(const subject *x, FILE *out)
{
    fprintf(out,
            "Layer times, %s clock (%s): a curve rises from none of the "
            "samples to all, the bar is the median.",
            moe_clock_name(x->clock), moe_clock_origin(x->clock));
    say_extremes(x, x->view->dims.strategies, out);
    fputc('.', out);
}

static void say_dots(const subject *x, FILE *out)
{
    fprintf(out,
            "Layer times, %s clock (%s): a dot is the mean over layers of a "
            "sample, the bar is the median.",
            moe_clock_name(x->clock), moe_clock_origin(x->clock));
    say_extremes(x, x->view->dims.strategies, out);
    fputc('.', out);
}

static void say_layers(const subject *x, FILE *out)
{
    const int n = x->view->dims.layers;
    fprintf(out,
            "Time of every layer, from 0 and to one scale, %s clock (%s), "
            "means over iterations; the line is %s. The slowest layer:",
            moe_clock_name(x->clock), moe_clock_origin(x->clock),
            name_of(x, x->view->reference_index));
    for (int s = 0; s < x->view->dims.strategies; s++) {
        const double *t = x->run->detail.layer_time + s * n;
        const int most = moe_most(t, n);
        if (most >= 0)
            fprintf(out, "%s %s %s in layer %d", s > 0 ? "," : "",
                    name_of(x, s), moe_time_cell(t[most]).text,
                    x->run->detail.layers[most]);
    }
    fputc('.', out);
}

/* ---- predictions of a run ---- */

static void say_accuracy(const subject *x, FILE *out)
{
    static const moe_contenders kinds[] = {MOE_ORACLES_TOKENS,
                                           MOE_BUILDABLE_TOKENS};
    const char *comma = "";
    fputs("Time of a layer against the accuracy of predicted tokens, gpu clock "
          "(modelled):",
          out);
    for (size_t k = 0; k < MOE_ARRAY_LEN(kinds); k++) {
        const moe_strategies all = moe_by_recall(x->view, kinds[k]);
        for (int i = 0; i < all.n; i++, comma = ",") {
            const moe_strategy_view *y = &x->view->strategy[all.at[i]];
            fprintf(out, "%s %s at %s takes %s", comma, y->name,
                    moe_percent_cell(y->recall.median).text,
                    moe_time_cell(y->summary[MOE_CLOCK_GPU].median).text);
        }
    }
    fputc('.', out);
}

static void say_overhead(const subject *x, FILE *out)
{
    const moe_strategies all = moe_by_recall(x->view, MOE_BUILDABLE_TOKENS);
    fputs("Accuracy of predictors against the time that they take, gpu clock "
          "(modelled), on a logarithmic axis:",
          out);
    for (int i = 0; i < all.n; i++) {
        const moe_strategy_view *y = &x->view->strategy[all.at[i]];
        fprintf(out, "%s %s predicts %s in %s", i > 0 ? "," : "", y->name,
                moe_percent_cell(y->recall.median).text,
                moe_time_cell(y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT]).text);
    }
    fputc('.', out);
}

/* ---- loads of a run ---- */

static void say_experts(const subject *x, FILE *out)
{
    const moe_detail *detail = &x->run->detail;
    const double *share = detail->true_share;
    const int n = x->view->dims.experts, most = moe_most(share, n);
    if (most < 0)
        return;
    fprintf(out,
            "True and predicted load of the %d experts of layer %d, the most "
            "skewed, means over iterations. Expert %d takes %s of the pairs;",
            n, detail->layer_number, most, moe_percent_cell(share[most]).text);
    const char *comma = " predicted";
    for (int s = 0; s < x->shown; s++) {
        const double predicted = detail->predicted[s * n + most];
        if (isnan(predicted))
            continue;
        fprintf(out, "%s %s: %s", comma, name_of(x, s),
                moe_percent_cell(predicted).text);
        comma = ",";
    }
    fputs(comma[0] == ',' ? "" : " nothing predicts", out);
    end_curves(x, out);
}

static void say_gpus(const subject *x, FILE *out)
{
    const moe_detail *detail = &x->run->detail;
    fprintf(out,
            "Load of the busiest, second, ... GPU of a layer over the mean, "
            "means over iterations and layers. The busiest has %s with every "
            "expert at home,",
            moe_number_cell(detail->home[0]).text);
    for (int s = 0; s < x->shown; s++)
        fprintf(out, "%s %s with %s", s > 0 ? "," : "",
                moe_number_cell(detail->load[s * x->view->dims.gpus]).text,
                name_of(x, s));
    end_curves(x, out);
}

static void say_regret(const subject *x, FILE *out)
{
    static const char *const names[] = {"room", "planner", "prediction",
                                        "split"};
    fputs("Imbalance by the stage that loses it, means over iterations.", out);
    for (int s = 0; s < x->view->dims.strategies; s++) {
        const moe_strategy_view *y = &x->view->strategy[s];
        const double lost[] = {y->regret_room.mean, y->regret_planner.mean,
                               y->regret_prediction.mean, y->regret_split.mean};
        const int most = moe_most(lost, MOE_ARRAY_LEN(lost));
        if (y->bound.n > 0 && most >= 0)
            fprintf(out, " %s: %s, most of it beyond the bound in %s (%s).",
                    y->name, moe_number_cell(y->imbalance.mean).text,
                    names[most], moe_fixed_cell(lost[most]).text);
    }
}

static void say_stages(const subject *x, FILE *out)
{
    fputs("Time of a layer that making a stage perfect would win, gpu clock "
          "(modelled): each upon those before it, from the split to the "
          "exchange, which is nothing left to dispatch.",
          out);
    for (int s = 0; s < x->view->dims.strategies; s++) {
        const double *t = x->run->sensitivity.stage_s + s * MOE_N_PERFECTS;
        double won_s[MOE_N_PERFECTS] = {0};
        for (int k = 1; k < MOE_N_PERFECTS; k++)
            won_s[k] = t[k - 1] - t[k];
        const int most = moe_most(won_s, MOE_N_PERFECTS);
        if (won_s[most] > 0)
            fprintf(out, " %s: most of it in %s (%s).", name_of(x, s),
                    moe_perfect_name((moe_perfect)most),
                    moe_time_cell(won_s[most]).text);
    }
}

static void say_stragglers(const subject *x, FILE *out)
{
    const moe_ledger_dims *d = &x->view->dims;
    double most = NAN;
    int rank = 0, iteration = 0;
    for (int i = 0; i < d->iterations; i++)
        for (int g = 0; g < d->gpus; g++) {
            const double here = moe_detail_straggle(&x->run->detail, d, i, g);
            if (here <= most || isnan(here))
                continue;
            most = here;
            rank = g;
            iteration = i;
        }
    fprintf(out,
            "Time of every rank in every iteration of %s over the mean of all "
            "ranks, waiting left out, %s clock (%s). The largest is %s: rank "
            "%d in iteration %d.",
            name_of(x, x->run->detail.strategy), moe_clock_name(x->clock),
            moe_clock_origin(x->clock), moe_number_cell(most).text, rank,
            iteration);
}

static void say_traffic(const subject *x, FILE *out)
{
    const int g = x->view->dims.gpus;
    const double *sent = x->run->detail.traffic;
    double least = INFINITY, most = 0;
    for (int i = 0; i < g * g; i++)
        if (i / g != i % g) {
            least = fmin(least, sent[i]);
            most = fmax(most, sent[i]);
        }
    fprintf(
        out,
        "Bytes that each GPU dispatches to each other with %s, per layer "
        "and iteration at full size: %s between two GPUs.",
        name_of(x, x->run->detail.strategy),
        moe_interval_cell(moe_bytes_cell(least), moe_bytes_cell(most)).text);
}

/* ---- maps ---- */

static void say_regime(const subject *x, FILE *out)
{
    char text[1024] = "";
    moe_regime_map_say(x->run, out);
    moe_map_slice_say(&x->run->regime.slice, text, sizeof text);
    fputs(text, out);
}

static void say_map(const subject *x, FILE *out)
{
    moe_map_slice shown, all;
    const moe_map *map = &x->analysis->map[x->plot->number];
    char text[1024] = "";
    fputs("The fastest strategy at every skewness and link, strong where it is "
          "far ahead of the second; the line is where the verdict flips, "
          "interpolated between cells. All of it is modelled, errors having "
          "their typical effect. ",
          out);
    if (moe_map_slice_init(&shown, map, MOE_MAP_CASE, x->plot->slice,
                           MOE_PLOT_CELLS, NULL) != MOE_OK)
        return;
    if (shown.n_skew < shown.all_skew || shown.n_row < shown.all_row)
        fprintf(out, "Shown are %d of %d columns and %d of %d rows. ",
                shown.n_skew, shown.all_skew, shown.n_row, shown.all_row);
    moe_map_slice_fini(&shown);
    if (moe_map_slice_init(&all, map, MOE_MAP_CASE, x->plot->slice, 0, NULL) !=
        MOE_OK)
        return;
    moe_map_slice_say(&all, text, sizeof text);
    fputs(text, out);
    moe_map_slice_fini(&all);
}

void moe_plot_say(const moe_plot *plot, const moe_analysis *analysis, FILE *out)
{
    static void (*const say[MOE_N_PLOTS])(const subject *x, FILE *out) = {
        [MOE_PLOT_SCALING] = say_scaling,
        [MOE_PLOT_EFFICIENCY] = say_efficiency,
        [MOE_PLOT_SPEEDUP] = say_speedup,
        [MOE_PLOT_PHASES] = say_phases,
        [MOE_PLOT_ECDF] = say_ecdf,
        [MOE_PLOT_SAMPLES] = say_dots,
        [MOE_PLOT_LAYERS] = say_layers,
        [MOE_PLOT_ACCURACY] = say_accuracy,
        [MOE_PLOT_OVERHEAD] = say_overhead,
        [MOE_PLOT_EXPERTS] = say_experts,
        [MOE_PLOT_REGRET] = say_regret,
        [MOE_PLOT_STAGES] = say_stages,
        [MOE_PLOT_GPUS] = say_gpus,
        [MOE_PLOT_STRAGGLERS] = say_stragglers,
        [MOE_PLOT_TRAFFIC] = say_traffic,
        [MOE_PLOT_REGIME] = say_regime,
        [MOE_PLOT_MAP] = say_map,
    };
    subject x = {.analysis = analysis, .plot = plot};
    if (plot->of != MOE_PLOT_OF_MAP) {
        x.run = &analysis->run[plot->number];
        x.view = x.run->view;
        x.clock = x.run->verdict.clock;
        x.shown = moe_plot_series(x.view);
    }
    say[plot->kind](&x, out);
}
