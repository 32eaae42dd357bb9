/** scaling.h: runs of different numbers of GPUs, side by side. */
#ifndef MOEGPS_SCALING_H
#define MOEGPS_SCALING_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/stats.h"
#include "moegps/status.h"
#include "moegps/verdict.h"
#include "moegps/view.h"

/** What the runs with one number of GPUs say of a strategy. */
typedef struct moe_scaling_point {
    int gpus, nodes, runs;
    double passes;   /* over the trace's test part, most of any */
    double tokens;   /* of an iteration, mean over those runs */
    double *samples; /* [n] s, all their samples; owned */
    size_t n;
    moe_summary time; /* of a layer, s */
    double rate;      /* tokens per second and GPU, at the median */
    moe_ratio
        efficiency; /* tokens per second and GPU, over the first point's */
} moe_scaling_point;

typedef struct moe_scaling_curve {
    moe_scaling_point *point; /* [n_points] by rising gpus; owned */
    size_t n_points;          /* at least 1 */
} moe_scaling_curve;

/** Who is fastest on a number of GPUs, by the verdicts of its runs. */
typedef struct moe_scaling_winner {
    int gpus, nodes;
    const char *best; /* borrowed from a view; NULL: no run has a verdict, or
                         they differ, ... */
    bool differ;      /* ... which is this */
    moe_doubt doubt;  /* of a run without a verdict; the first one's */
} moe_scaling_winner;

typedef struct moe_scaling {
    int strategies; /* those of the first run; 0: there is nothing to compare */
    moe_clock clock; /* the one that counts: wall only if it does in all runs */
    moe_scaling_curve *curve[MOE_N_CLOCKS]; /* [strategies], owned */
    moe_scaling_winner *winner; /* [n_winners] by rising gpus, owned; none
                                   before moe_scaling_judge() */
    size_t n_winners;
} moe_scaling;

/** Group runs of one model by their numbers of GPUs; nothing, unless there are
 *  two numbers. Runs without a strategy are left out of its curve. Not
 *  collective. Release with moe_scaling_fini().
 *  @param views  [n]
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_scaling_init(moe_scaling *out, const moe_view *views, size_t n,
                            moe_error *err);

/** Take the verdict of one more run. @return MOE_OK, MOE_NOMEM. */
moe_status moe_scaling_judge(moe_scaling *scaling, const moe_view *view,
                             const moe_verdict *verdict, moe_error *err);
void moe_scaling_fini(moe_scaling *scaling);

#endif
