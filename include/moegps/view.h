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

#include "moegps/ledger.h"
#include "moegps/stats.h"
#include "moegps/status.h"

typedef enum moe_clock {
    MOE_CLOCK_WALL,
    MOE_CLOCK_CPU,
    MOE_CLOCK_GPU,
    MOE_N_CLOCKS
} moe_clock;

/** @return "wall", "cpu", "gpu". */
const char *moe_clock_name(moe_clock clock);

/** Figures of one strategy. A layer-time sample is the mean over layers of
 *  one iteration, so samples are as independent as batches are. */
typedef struct moe_strategy_view {
    char name[64];
    double *layer_time[MOE_N_CLOCKS];  /* [iterations] s, mean over layers of
                                           the slowest rank's time */
    moe_summary summary[MOE_N_CLOCKS]; /* of layer_time */
    moe_ratio speedup[MOE_N_CLOCKS];   /* reference / this, paired */
    double phase[MOE_N_CLOCKS][MOE_N_PHASES]; /* s, median over iterations of
                                           the mean over layers; gpu: exposed */
    double hidden; /* s, gpu clock: what attention hides, likewise */
    double wait;   /* s, wall: barrier time, mean over ranks, likewise */
    moe_summary imbalance;    /* max/mean pairs over GPUs; per iteration, mean
                                   over layers */
    moe_summary skewness;     /* of the true load, likewise */
    moe_summary error;        /* of the predicted distribution, likewise */
    moe_summary top1, recall; /* likewise */
    double moved_bytes;       /* B per iteration and layer, mean */
    double wire_bytes;        /* B per iteration, mean */
    double dispatch_bytes;    /* B per iteration and layer, all GPUs, mean */
    double remote_share;      /* of dispatch_bytes that leaves its GPU */
    moe_summary planner_cpu;  /* s per iteration, sum over layers */
} moe_strategy_view;

typedef struct moe_view {
    char path[1024], run_id[64], title[256], status[32], validation[512];
    char reference[64];
    int reference_index;
    moe_ledger_dims dims;
    int measured; /* iterations that every strategy completed */
    bool valid;   /* checks were run and passed */
    bool oversubscribed;
    char **warnings; /* [n_warnings] */
    size_t n_warnings;
    moe_strategy_view *strategy; /* [dims.strategies] */
} moe_view;

/** Read a result file. Not collective. Release with moe_view_free().
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT (not a result file,
 *  or of a newer major schema), MOE_NOMEM. */
moe_status moe_view_read(const char *path, moe_view *out, moe_error *err);

void moe_view_free(moe_view *view);

#endif
