/** scaling.h: runs of different numbers of GPUs, side by side. */
#ifndef MOEGPS_SCALING_H
#define MOEGPS_SCALING_H

#include <stdio.h>

#include "moegps/view.h"

/* What the runs with one number of GPUs say of a strategy. */
typedef struct moe_scaling_point {
    int gpus, nodes, runs;
    double tokens;   /* of an iteration, mean over those runs */
    double *samples; /* [n] s, all their samples; owned */
    size_t n;
    moe_summary time; /* of a layer, s */
    moe_ratio
        efficiency; /* tokens per second and GPU, over the first point's */
} moe_scaling_point;

typedef struct moe_scaling {
    moe_scaling_point *point; /* [n_points] by rising gpus; owned */
    size_t n_points;
} moe_scaling;

/** Group the runs that have a strategy. Release with moe_scaling_fini().
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_scaling_init(moe_scaling *s, const moe_view *views, size_t n,
                            const char *strategy, moe_clock clock,
                            moe_error *err);
void moe_scaling_fini(moe_scaling *s);

/* Whether there is anything to compare: two numbers of GPUs. */
bool moe_scaling_present(const moe_view *views, size_t n);

#endif
