/** map.h: which strategy wins where: a sweep of modelled layer times over
 *  skewness and bandwidth, like Figure 7 of MoE-GPS (arXiv 2506.07366).
 *
 *  Loads are described by hand (advise.h). Counts and plans do not depend on
 *  links, so each is made once and priced at every bandwidth.
 */
#ifndef MOEGPS_MAP_H
#define MOEGPS_MAP_H

#include <stdio.h>

#include "moegps/advise.h"

/* 2.0.0: MAJOR breaks readers, MINOR adds. 2: clusters are a dimension. */
#define MOE_MAP_SCHEMA "moe-gps-map"
#define MOE_MAP_SCHEMA_VERSION "2.0.0"

typedef struct moe_map_params {
    moe_advise_params advise;   /* cluster, batch, skew, accuracy and links are
                                   swept; a plan's host time must be set, so
                                   that maps repeat */
    const moe_cluster *cluster; /* [n_cluster]; borrowed, as all here */
    const double *skew;         /* [n_skew] */
    const double *bandwidth;    /* [n_bandwidth] B/s per direction, of a link */
    const double *accuracy;     /* [n_accuracy] of token-to-expert */
    const int *batch;           /* [n_batch] sequences */
    int n_cluster, n_skew, n_accuracy, n_batch;
    int n_bandwidth; /* 0: one, each cluster's own */
} moe_map_params;

typedef struct moe_map {
    moe_map_params p; /* its arrays are borrowed */
    double *layer_s;  /* [cluster][case][batch][accuracy][skew][bandwidth]
                         [strategy] */
    int32_t *winner;  /* [cluster]...[bandwidth] strategy */
    double *margin;   /* likewise: second over winner, less 1 */
} moe_map;

/** A cell, by number along each dimension. */
typedef struct moe_map_cell {
    int cluster;
    moe_advise_case error;
    int batch, accuracy, skew, bandwidth;
} moe_map_cell;

/** Sweep. Release with moe_map_fini(). @return as moe_advise_new(). */
moe_status moe_map_init(moe_map *map, const moe_map_params *p, moe_error *err);
void moe_map_fini(moe_map *map);

/** @return index into winner and margin. */
size_t moe_map_at(const moe_map *map, const moe_map_cell *cell);

/** @return B/s of a cluster's link in a column of the sweep. */
double moe_map_bandwidth(const moe_map_params *p, int cluster, int bandwidth);

/** Write to HDF5; the file must not exist, and is removed again when writing
 *  fails. Group /map holds dims cluster, case, batch, accuracy, skew,
 *  bandwidth and strategy (skew, bandwidth and accuracy by number, with their
 *  values in skew_value, bandwidth_value, accuracy_value), layer_time, winner,
 *  margin.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_LIBRARY. */
moe_status moe_map_write(const moe_map *map, const char *path, moe_error *err);

/** Print the winner and margin of every cell in one case: a map of each
 *  cluster with a row per bandwidth, or, at the clusters' own, a single one
 *  with a row per cluster; anew for each batch and accuracy. */
void moe_map_print(const moe_map *map, moe_advise_case c, FILE *out);

#endif
