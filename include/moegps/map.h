/** map.h: which strategy wins where: a sweep of modelled layer times over
 *  skewness and bandwidth, like Figure 7 of MoE-GPS (arXiv 2506.07366).
 *
 *  Loads are described by hand (advise.h). Counts and plans depend on the
 *  skewness alone, so each is made once and priced at every bandwidth.
 */
#ifndef MOEGPS_MAP_H
#define MOEGPS_MAP_H

#include <stdio.h>

#include "moegps/advise.h"

/* 1.0.0: MAJOR breaks readers, MINOR adds. */
#define MOE_MAP_SCHEMA "moe-gps-map"
#define MOE_MAP_SCHEMA_VERSION "1.0.0"

typedef struct moe_map_params {
    moe_advise_params advise; /* skew and link bandwidth are swept; a plan's
                                 host time must be set, so that maps repeat */
    const double *skew;       /* [n_skew]; borrowed, as all here */
    const double *bandwidth;  /* [n_bandwidth] B/s per direction, of a link */
    const double *accuracy;   /* [n_accuracy] of token-to-expert */
    const int *batch;         /* [n_batch] sequences */
    int n_skew, n_bandwidth, n_accuracy, n_batch;
} moe_map_params;

typedef struct moe_map {
    moe_map_params p; /* its arrays are borrowed */
    double *layer_s;  /* [case][batch][accuracy][skew][bandwidth][strategy] */
    int32_t *winner;  /* [case][batch][accuracy][skew][bandwidth] strategy */
    double *margin;   /* likewise: second over winner, less 1 */
} moe_map;

/** Sweep. Release with moe_map_fini(). @return as moe_advise_new(). */
moe_status moe_map_init(moe_map *map, const moe_map_params *p, moe_error *err);
void moe_map_fini(moe_map *map);

/** @return index into winner and margin. */
size_t moe_map_at(const moe_map *map, moe_advise_case c, int batch,
                  int accuracy, int skew, int bandwidth);

/** Write to HDF5; the file must not exist, and is removed again when writing
 *  fails. Group /map holds dims case, batch, accuracy, skew, bandwidth and
 *  strategy (skew, bandwidth and accuracy by number, with their values in
 *  skew_value, bandwidth_value, accuracy_value), layer_time, winner, margin.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_LIBRARY. */
moe_status moe_map_write(const moe_map *map, const char *path, moe_error *err);

/** Print the winner and margin of every cell, one map per batch and accuracy,
 *  in one case. */
void moe_map_print(const moe_map *map, moe_advise_case c, FILE *out);

#endif
