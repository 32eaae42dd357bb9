/** view.h: a result file read back: what report, compare and merge see.
 *
 *  Reads /timing, /load, /plan and the rest, reduces over ranks block by
 *  block, and never needs the run's memory. Works on interrupted files: what
 *  was never written is NaN and is left out of every figure.
 */
#ifndef MOEGPS_VIEW_H
#define MOEGPS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/cost.h"
#include "moegps/ledger.h"
#include "moegps/stats.h"
#include "moegps/status.h"
#include "moegps/strategy_facts.h"

typedef enum moe_clock {
    MOE_CLOCK_WALL,
    MOE_CLOCK_CPU,
    MOE_CLOCK_GPU,
    MOE_N_CLOCKS
} moe_clock;

/** "wall", "cpu", "gpu", and NULL behind them. */
extern const char *const moe_clock_names[MOE_N_CLOCKS + 1];

/** @return the name of one. */
const char *moe_clock_name(moe_clock clock);

/** @return "modelled" for the gpu clock, else "measured". */
const char *moe_clock_origin(moe_clock clock);

/** Figures of one strategy. A sample is the mean over layers of one iteration,
 *  so samples are as independent as batches are. Where a plan serves several
 *  iterations it is the mean over those, or else the median would not see
 *  what rebalancing costs. */
typedef struct moe_strategy_view {
    char name[64];
    moe_strategy_facts facts;
    double *layer_time[MOE_N_CLOCKS];  /* [iterations] s, mean over layers of
                                           the slowest rank's time */
    moe_summary summary[MOE_N_CLOCKS]; /* of the samples of layer_time */
    moe_ratio speedup[MOE_N_CLOCKS];   /* reference / this, paired */
    double phase[MOE_N_CLOCKS][MOE_N_PHASES]; /* s, median over samples; gpu:
                                           exposed */
    double hidden; /* s, gpu clock: what attention hides; median over
                      samples */
    double source[MOE_N_PHASES][MOE_N_PRICE_SOURCES]; /* share of the gpu
                                           clock's prices by moe_price_source;
                                           NaN: not recorded */
    double
        wait; /* s, wall: barrier time, mean over ranks, median over samples */
    moe_summary imbalance; /* max/mean pairs over GPUs, per sample */
    moe_summary
        skewness;      /* max/mean of the true load over experts, per sample */
    moe_summary error; /* of the predicted distribution, per sample */
    moe_summary top1, recall; /* shares predicted, per sample */
    moe_summary in_place;     /* share of pairs in place before dispatch, with
                                 direct routing, per sample */
    /* Pairs of the busiest GPU over the mean: imbalance = bound + room +
       planner + prediction + split, sample by sample. */
    moe_summary regret_split, regret_prediction, regret_planner, regret_room;
    moe_summary bound;       /* what no plan of these slots can go below */
    double moved_bytes;      /* B per iteration and layer, mean */
    double wire_bytes;       /* B per iteration, mean */
    double dispatch_bytes;   /* B per iteration and layer, all GPUs, mean */
    double remote_share;     /* of dispatch_bytes that leaves its GPU */
    double ahead_bytes;      /* B sent before dispatch by direct routing, per
                                iteration and layer, all GPUs, mean */
    moe_summary planner_cpu; /* s per iteration, sum over layers */
    /* Of a paced run; else NaN. */
    moe_summary late; /* of paced phases, slowest rank, as a share of
                                    the layer's time on the wall clock */
    double late_s[MOE_N_PACES][2];  /* s: median, 99th percentile over layers
                                      and ranks; of those the median over
                                      iterations */
    double late_share;              /* of paced phases that ended late by more
                                    than MOE_MOST_LATE of the layer */
    double beside_s[MOE_N_BESIDES]; /* s per layer, slowest rank, mean: from
                                       begin to end of what ran beside */
    double travel_s[MOE_N_TRAVELS]; /* s likewise: rows, from sent to
                                               arrived */
    double
        travel_exposed_s[MOE_N_TRAVELS]; /* s likewise: of that, waited for */
} moe_strategy_view;

/** Lateness of paced phases, as a share of a layer, beyond which the wall clock
 *  of a paced run is no result. */
#define MOE_MOST_LATE 0.02

/** Rows that went from one node to another in a paced run, or stayed in it. */
typedef struct moe_route {
    int from, to;      /* nodes, in the order of their first ranks */
    double bytes;      /* B, of all strategies, iterations and layers */
    double transfer_s; /* s, sum over messages, each beside others */
    double late_s;     /* s by which senders came after receivers, likewise */
} moe_route;

/** How a run kept a GPU's pace. */
typedef struct moe_pace_view {
    bool phase[MOE_N_PACES]; /* paced */
    double dilation;         /* of those; what was measured is divided by it */
    char links[512];         /* how links here compare with the cluster's; "":
                                nobody compared them */
    char timer[256];         /* how exactly deadlines are kept there */
    char progress[64];       /* who made it */
    double late;             /* median share of the strategy with most */
    moe_route *route;        /* [n_routes] with rows; owned */
    size_t n_routes;
} moe_pace_view;

typedef struct moe_view {
    char path[1024], run_id[64], title[256], status[32];
    char date[32], source[128];  /* when, and by which version */
    char validation[16];         /* pass, fail, not_run */
    char validation_text[512];   /* what was checked, or what failed */
    char model[64], cluster[64]; /* "" where the run did not say */
    char trace[256];
    char serving[256]; /* how the model is served; "": as in the paper */
    int top_k;         /* 0: the run did not say */
    char ffn[32];      /* back end of the executed FFN; "" where the run did not
                     say */
    double scale; /* that divided executed sizes; 0 where the run did not say */
    char reference[64];
    int reference_index;
    moe_ledger_dims dims;
    int nodes;           /* hosts the ranks ran on */
    int clock_asked;     /* 0: none; else 1 + the moe_clock that is to count */
    double passes;       /* batches that share what is independent: how often
                            the run used the trace's test part, or how many of
                            them are of one cluster */
    int measured;        /* iterations that every strategy completed */
    double tokens;       /* of an iteration, mean; NaN: not known */
    int period;          /* iterations of a sample: those a plan serves; 1 where
                            a plan outlives the run */
    bool valid;          /* checks were run and passed */
    bool oversubscribed; /* of any rank */
    moe_pace_view pace;
    char trace_sha256[65];
    char *config;         /* every setting, as YAML; owned */
    uint64_t *batch_hash; /* [iterations] of the true loads: equal batches have
                             equal ones; 0: not measured */
    char **warnings;      /* [n_warnings] */
    size_t n_warnings;
    moe_strategy_view *strategy; /* [dims.strategies] */
} moe_view;

/** Read a result file. Not collective. Release with moe_view_free().
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT (not a result file,
 *  or of a newer major schema), MOE_NOMEM. */
moe_status moe_view_read(const char *path, moe_view *out, moe_error *err);

void moe_view_free(moe_view *view);

/** Read a result file, or all runs of a sweep file (sweep.h), behind what has
 *  been read already.
 *  @param views  [*n], heap, NULL at first; release with moe_views_free(). As it
 *                was after an error. */
moe_status moe_views_append(const char *path, moe_view **views, size_t *n,
                            moe_error *err);

/** Release views and the array. NULL is fine. */
void moe_views_free(moe_view *views, size_t n);

/** @return the number of the strategy of this name; -1: there is none. */
int moe_view_strategy(const moe_view *view, const char *name);

/** Samples of a strategy's layer time: iterations, or their means over those
 *  that a plan serves. @param x_out  [dims.iterations] s; NaN: no sample. */
void moe_view_samples(const moe_view *view, int strategy, moe_clock clock,
                      double *x_out);

/** The same without those that were not measured, which would be NaN.
 *  @return how many there are, at the front of x_out, in the order of time. */
size_t moe_view_measured(const moe_view *view, int strategy, moe_clock clock,
                         double *x_out);

/** A named quantity of a strategy: a row of /summary, of CSV and of JSON. */
typedef struct moe_metric {
    const char *name; /* "layer_time_gpu" */
    const char *unit; /* "s", "B" or "1" */
    const char *help; /* one line */
    size_t offset;    /* in moe_strategy_view: of a moe_summary, or of a double
                         that is the mean */
    size_t ratio;     /* of a moe_ratio; MOE_NO_RATIO: none */
    bool mean_only;
} moe_metric;

#define MOE_NO_RATIO SIZE_MAX

/** @return metric i, or NULL past the last. */
const moe_metric *moe_metric_at(size_t i);

/** A number of a metric: a dataset of /summary, a column of CSV, a member of
 *  JSON. */
typedef struct moe_statistic {
    const char *name, *long_name; /* "ci_low" */
    size_t offset;                /* in moe_summary, or moe_ratio */
    bool of_ratio;
} moe_statistic;

enum { MOE_N_STATISTICS = 13 };
extern const moe_statistic moe_statistics[MOE_N_STATISTICS];

/** @return the number of a summary, or of a ratio. */
double moe_statistic_of(const moe_statistic *statistic,
                        const moe_summary *summary, const moe_ratio *ratio);

/** Get or set one number; NaN where the metric has none, and then set does
 *  nothing. */
double moe_statistic_get(const moe_statistic *statistic,
                         const moe_metric *metric,
                         const moe_strategy_view *strategy);
void moe_statistic_set(const moe_statistic *statistic, const moe_metric *metric,
                       moe_strategy_view *strategy, double value);

/** All statistics of a metric; what it lacks is NaN. A metric that is a mean
 *  only has n = 0. */
moe_summary moe_metric_summary(const moe_metric *metric,
                               const moe_strategy_view *strategy);
moe_ratio moe_metric_ratio(const moe_metric *metric,
                           const moe_strategy_view *strategy);

#endif
