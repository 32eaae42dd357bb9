/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

#define VIEW(member) offsetof(moe_strategy_view, member)

#define CLOCK(clock, id, help)                                                \
    {                                                                         \
        "layer_time_" clock, "s", help, VIEW(summary[id]), VIEW(speedup[id]), \
            false                                                             \
    }

static const moe_metric metrics[] = {
    CLOCK("wall", MOE_CLOCK_WALL, "time of a layer, slowest rank"),
    CLOCK("cpu", MOE_CLOCK_CPU, "CPU time of a layer, busiest rank"),
    CLOCK("gpu", MOE_CLOCK_GPU, "modelled time of a layer on the GPUs"),
    {"imbalance", "1", "max / mean pairs over GPUs", VIEW(imbalance),
     MOE_NO_RATIO, false},
    {"skewness", "1", "max / mean pairs over experts", VIEW(skewness),
     MOE_NO_RATIO, false},
    {"error", "1", "error of the predicted distribution", VIEW(error),
     MOE_NO_RATIO, false},
    {"top1", "1", "tokens whose first expert was predicted", VIEW(top1),
     MOE_NO_RATIO, false},
    {"recall", "1", "experts of a token that were predicted", VIEW(recall),
     MOE_NO_RATIO, false},
    {"in_place", "1", "pairs that direct routing had in place", VIEW(in_place),
     MOE_NO_RATIO, false},
    {"regret_split", "1", "imbalance beyond its placement's least",
     VIEW(regret_split), MOE_NO_RATIO, false},
    {"regret_prediction", "1", "that beyond the planner's with the truth",
     VIEW(regret_prediction), MOE_NO_RATIO, false},
    {"regret_planner", "1", "that beyond the best plan known",
     VIEW(regret_planner), MOE_NO_RATIO, false},
    {"regret_room", "1", "that beyond the bound", VIEW(regret_room),
     MOE_NO_RATIO, false},
    {"bound", "1", "imbalance that no plan can go below", VIEW(bound),
     MOE_NO_RATIO, false},
    {"planner_time", "s", "CPU time of the planner per iteration",
     VIEW(planner_cpu), MOE_NO_RATIO, false},
    {"late", "1", "paced phases: lateness per time of the layer", VIEW(late),
     MOE_NO_RATIO, false},
    {"moved_bytes", "B", "weights migrated per layer, all GPUs",
     VIEW(moved_bytes), MOE_NO_RATIO, true},
    {"wire_bytes", "B", "plan as broadcast, per iteration", VIEW(wire_bytes),
     MOE_NO_RATIO, true},
    {"dispatch_bytes", "B", "rows dispatched per layer, all GPUs",
     VIEW(dispatch_bytes), MOE_NO_RATIO, true},
    {"remote_share", "1", "of dispatch_bytes that leaves its GPU",
     VIEW(remote_share), MOE_NO_RATIO, true},
    {"ahead_bytes", "B", "rows sent ahead per layer, all GPUs",
     VIEW(ahead_bytes), MOE_NO_RATIO, true},
};

const moe_metric *moe_metric_at(size_t i)
{
    return i < MOE_ARRAY_LEN(metrics) ? &metrics[i] : NULL;
}

moe_summary moe_metric_summary(const moe_metric *metric,
                               const moe_strategy_view *strategy)
{
    const char *at = (const char *)strategy + metric->offset;
    moe_summary s = {.median = NAN, .ci_low = NAN, .ci_high = NAN, .sd = NAN};
    s.min = s.max = s.p50 = s.p90 = s.p99 = NAN;
    if (metric->mean_only)
        memcpy(&s.mean, at, sizeof s.mean);
    else
        memcpy(&s, at, sizeof s);
    return s;
}

moe_ratio moe_metric_ratio(const moe_metric *metric,
                           const moe_strategy_view *strategy)
{
    moe_ratio r = {.ratio = NAN, .ci_low = NAN, .ci_high = NAN};
    if (metric->ratio != MOE_NO_RATIO)
        memcpy(&r, (const char *)strategy + metric->ratio, sizeof r);
    return r;
}

const moe_statistic moe_statistics[MOE_N_STATISTICS] = {
    {"median", "median", offsetof(moe_summary, median), false},
    {"ci_low", "95 % interval of the median", offsetof(moe_summary, ci_low),
     false},
    {"ci_high", "95 % interval of the median", offsetof(moe_summary, ci_high),
     false},
    {"mean", "mean", offsetof(moe_summary, mean), false},
    {"sd", "standard deviation", offsetof(moe_summary, sd), false},
    {"min", "smallest sample", offsetof(moe_summary, min), false},
    {"p50", "nearest rank, NaN below 100 samples", offsetof(moe_summary, p50),
     false},
    {"p90", "nearest rank, NaN below 100 samples", offsetof(moe_summary, p90),
     false},
    {"p99", "nearest rank, NaN below 100 samples", offsetof(moe_summary, p99),
     false},
    {"max", "largest sample", offsetof(moe_summary, max), false},
    {"ratio", "reference / this, median of pairs", offsetof(moe_ratio, ratio),
     true},
    {"ratio_ci_low", "95 % interval of the ratio", offsetof(moe_ratio, ci_low),
     true},
    {"ratio_ci_high", "95 % interval of the ratio",
     offsetof(moe_ratio, ci_high), true},
};

void moe_metrics_write_scale(hid_t group, moe_error *err)
{
    const char *names[MOE_ARRAY_LEN(metrics)], *units[MOE_ARRAY_LEN(metrics)];
    const size_t n = MOE_ARRAY_LEN(metrics);
    const moe_h5_spec unit = {.name = "unit",
                              .rank = 1,
                              .dims = {"metric"},
                              .long_name = "unit of the metric"};
    for (size_t m = 0; m < n; m++) {
        names[m] = metrics[m].name;
        units[m] = metrics[m].unit;
    }
    moe_h5_scale_text(group, "metric", n, names, "figure of a strategy", err);
    moe_h5_write_strings(group, &unit, units, err);
}

void moe_summary_create(hid_t file, const char *const *strategies,
                        size_t n_strategies, moe_error *err)
{
    static const char *const axes[] = {".", "."};
    hid_t group = moe_h5_create_group(file, "summary", err);
    moe_h5_put_text(group, "NX_class", "NXdata", err);
    moe_h5_put_text(group, "signal", "median", err);
    moe_h5_put_list(group, "axes", axes, MOE_ARRAY_LEN(axes), err);
    moe_h5_scale_text(group, "strategy", n_strategies, strategies,
                      "predictor, planner and split", err);
    moe_metrics_write_scale(group, err);
    moe_h5_spec spec = {.name = "n",
                        .type = H5T_STD_I32LE,
                        .rank = 2,
                        .dims = {"strategy", "metric"},
                        .units = "count",
                        .long_name = "iterations that have the metric"};
    moe_h5_close(moe_h5_create_dataset(group, &spec, err));
    spec.type = H5T_IEEE_F64LE;
    spec.units = NULL;
    for (size_t f = 0; f < MOE_N_STATISTICS; f++) {
        spec.name = moe_statistics[f].name;
        spec.long_name = moe_statistics[f].long_name;
        moe_h5_close(moe_h5_create_dataset(group, &spec, err));
    }
    moe_h5_close(group);
}

double moe_statistic_of(const moe_statistic *statistic,
                        const moe_summary *summary, const moe_ratio *ratio)
{
    double value = NAN;
    const char *of =
        statistic->of_ratio ? (const char *)ratio : (const char *)summary;
    memcpy(&value, of + statistic->offset, sizeof value);
    return value;
}

void moe_statistic_set(const moe_statistic *statistic, const moe_metric *metric,
                       moe_strategy_view *strategy, double value)
{
    char *at = (char *)strategy;
    const bool is_mean = !statistic->of_ratio &&
                         statistic->offset == offsetof(moe_summary, mean);
    if (statistic->of_ratio && metric->ratio != MOE_NO_RATIO)
        memcpy(at + metric->ratio + statistic->offset, &value, sizeof value);
    else if (!statistic->of_ratio && !metric->mean_only)
        memcpy(at + metric->offset + statistic->offset, &value, sizeof value);
    else if (is_mean && metric->mean_only)
        memcpy(at + metric->offset, &value, sizeof value);
}

double moe_statistic_get(const moe_statistic *statistic,
                         const moe_metric *metric,
                         const moe_strategy_view *strategy)
{
    const moe_summary s = moe_metric_summary(metric, strategy);
    const moe_ratio r = moe_metric_ratio(metric, strategy);
    return moe_statistic_of(statistic, &s, &r);
}

static void write_matrix(hid_t group, const char *name, const double *values,
                         size_t n_strategies, moe_error *err)
{
    const moe_h5_block all = {.count = {n_strategies, MOE_ARRAY_LEN(metrics)}};
    hid_t dataset = moe_h5_open_dataset(group, name, err);
    moe_h5_write_block(dataset, &all, H5T_NATIVE_DOUBLE, values, H5P_DEFAULT,
                       err);
    moe_h5_close(dataset);
}

void moe_summary_write(hid_t file, const moe_view *view, moe_error *err)
{
    const size_t n = MOE_ARRAY_LEN(metrics);
    size_t n_strategies = (size_t)view->dims.strategies;
    double *values = moe_array_new(n_strategies * n, sizeof *values, err);
    if (values == NULL)
        return;
    hid_t group = moe_h5_open_group(file, "summary", err);
    for (size_t f = 0; f < MOE_N_STATISTICS; f++) {
        for (size_t j = 0; j < n_strategies * n; j++)
            values[j] = moe_statistic_get(&moe_statistics[f], &metrics[j % n],
                                          &view->strategy[j / n]);
        write_matrix(group, moe_statistics[f].name, values, n_strategies, err);
    }
    for (size_t j = 0; j < n_strategies * n; j++)
        values[j] =
            (double)moe_metric_summary(&metrics[j % n], &view->strategy[j / n])
                .n;
    write_matrix(group, "n", values, n_strategies, err);
    moe_h5_close(group);
    free(values);
}
