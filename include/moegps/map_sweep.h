/** map_sweep.h: a map by the cost model: advice at every place of it.
 *
 *  Loads are described by hand, or are the batches of a trace (advise.h), which
 *  has one skewness: its own. Counts and plans do not depend on links, so each
 *  is made once and priced at every bandwidth.
 */
#ifndef MOEGPS_MAP_SWEEP_H
#define MOEGPS_MAP_SWEEP_H

#include "moegps/advise.h"
#include "moegps/map.h"
#include "moegps/status.h"

typedef struct moe_map_params {
    moe_advise_params advise;   /* cluster, batch, skew, accuracy and links are
                                   swept; a plan's host time must be set, so
                                   that maps repeat */
    const moe_cluster *cluster; /* [n_cluster]; borrowed, as all here */
    const double *skew;         /* [n_skew]; of a trace NULL */
    const char *trace;          /* name of the params' trace; NULL: by hand */
    const double *bandwidth;    /* [n_bandwidth] B/s per direction, of a link */
    const double *accuracy;     /* [n_accuracy] of token-to-expert */
    const int *batch;           /* [n_batch] sequences */
    int n_cluster, n_skew, n_accuracy, n_batch;
    int n_bandwidth;          /* 0: one, each cluster's own */
    const char *command_line; /* that asked for it; NULL: not known */
} moe_map_params;

/** Sweep. Release with moe_map_fini().
 *  @return as moe_advise_new(), and MOE_USAGE for more than
 *  MOE_MAP_MAX_CELLS. */
moe_status moe_map_sweep(moe_map *map, const moe_map_params *p, moe_error *err);

#endif
