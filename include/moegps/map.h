/** map.h: which strategy wins where: modelled layer times over skewness and
 *  bandwidth, like Figure 7 of MoE-GPS (arXiv 2506.07366).
 *
 *  map_sweep.h makes one. A map outlives what it was swept from, and reads back
 *  from its file as it was written.
 */
#ifndef MOEGPS_MAP_H
#define MOEGPS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

/* MAJOR breaks readers, MINOR adds. 2: clusters are a dimension; 2.1: root
 * attributes `command_line`, `own_links`, `samples`; 2.2: `batch_skew`; 2.3: attribute
 * `deployment`; 2.4: attributes `trace` and `order`, where batches are of a trace,
 * whose `seq` may be 0. */
#define MOE_MAP_SCHEMA "moe-gps-map"
#define MOE_MAP_SCHEMA_VERSION "2.5.0"

/* More are neither swept nor read: a file may claim anything. */
enum { MOE_MAP_MAX_CELLS = 1 << 24 };

typedef enum moe_advise_strategy {
    MOE_ADVISE_BASELINE,     /* home placement, nothing predicted */
    MOE_ADVISE_DISTRIBUTION, /* duplication on a predicted distribution */
    MOE_ADVISE_TOKEN,        /* duplication and routing on predicted tokens */
    MOE_ADVISE_ORACLE,       /* duplication on the true future, for free */
    MOE_ADVISE_STRATEGIES
} moe_advise_strategy;

/* What an error e of the prediction does to the busiest GPU, on top of what
 * the plan gives it; the others share the rest (MoE-GPS). */
typedef enum moe_advise_case {
    MOE_ADVISE_OPTIMISTIC,  /* nothing */
    MOE_ADVISE_TYPICAL,     /* load (1 + e) */
    MOE_ADVISE_PESSIMISTIC, /* all that was not foreseen comes there: load + e/2
                               of all pairs, as sum |p^ - p| counts each pair
                               where it is missing, too; the paper's adds e of
                               them, moe_advise_dials.paper */
    MOE_ADVISE_CASES
} moe_advise_case;

/** @return spelling, static storage. */
const char *moe_advise_strategy_name(moe_advise_strategy s);
const char *moe_advise_case_name(moe_advise_case c);

typedef struct moe_map_cluster {
    char name[64]; /* of the profile */
    char cost[32]; /* its cost model */
} moe_map_cluster;

/** All arrays are owned; values are in the order in which they were given. */
typedef struct moe_map {
    char path[1024];      /* file that it was read from; "": none */
    char model[64];       /* profile */
    char version[128];    /* of the program that swept */
    char *command_line;   /* owned; NULL: not known */
    char deployment[256]; /* what differs from the default one, as
                             moe_serving_text(); "": nothing */
    char trace[256];      /* whose batches were priced; "": loads by hand */
    char order[16];       /* ... "recorded" or "shuffled" */
    int gpus, seq;        /* tokens of a sequence; of a trace 0: as they are */
    int slots;            /* per GPU and layer */
    int samples;          /* ways to place the experts, batches of a trace; 0:
                             not known */
    uint64_t seed;
    char split[32]; /* of pairs among copies */
    int lookahead;  /* layers ahead of a plan; 0: all before layer 0 */
    int rebalance_every;
    double moving;         /* these as in moe_advise_dials, ... */
    double overhead_s;     /* s per layer */
    double overhead_share; /* of the baseline layer's time */
    bool paper;
    double error; /* ... and these as in moe_advise_params */
    bool bottleneck;
    double planner_s; /* host time of a plan; NaN: that of its steps */
    bool own_links;   /* one bandwidth: each cluster's own */
    int n_cluster, n_batch, n_accuracy, n_skew, n_bandwidth; /* >= 1 */
    moe_map_cluster *cluster;                                /* [n_cluster] */
    int32_t *batch;          /* [n_batch] sequences */
    double *accuracy, *skew; /* [n_accuracy], [n_skew]; of a trace one, that of
                                its batches, mean over their sizes */
    double *batch_skew;      /* [batch][skew] own skewness of the batches that
                                were priced, mean; NaN: not known */
    double *bandwidth;       /* [n_cluster][n_bandwidth] B/s per direction */
    double *layer_s;         /* [cluster][case][batch][accuracy][skew]
                                  [bandwidth][strategy] */
    int32_t *winner;         /* [cluster]...[bandwidth] strategy */
    double *margin;          /* [cluster]...[bandwidth] second over winner,
                                 less 1 */
} moe_map;

/** A cell, by number along each dimension. */
typedef struct moe_map_cell {
    int cluster;
    moe_advise_case error;
    int batch, accuracy, skew, bandwidth;
} moe_map_cell;

/** Release. A map of zeros is fine. */
void moe_map_fini(moe_map *map);

/** Allocate the arrays for the sizes that are set.
 *  @return MOE_OK, MOE_USAGE (too many cells), MOE_NOMEM; what was allocated
 *  is released by moe_map_fini(). */
moe_status moe_map_alloc(moe_map *map, moe_error *err);

/** @return cells, of all cases. */
size_t moe_map_cells(const moe_map *map);

/** @return index into winner and margin. */
size_t moe_map_at(const moe_map *map, const moe_map_cell *cell);

/** @return B/s of a cluster's link in a column of the sweep. */
double moe_map_bandwidth(const moe_map *map, int cluster, int bandwidth);

/** Find the winner of a cell among the strategies that can be had.
 *  @param layer_s  [MOE_ADVISE_STRATEGIES]
 *  @param margin_out  time of the second over the winner's, less 1. */
moe_advise_strategy moe_map_judge(const double *layer_s, double *margin_out);

/** Write to HDF5; the file must not exist, and is removed again when writing
 *  fails. Schema: results/README.md.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_LIBRARY. */
moe_status moe_map_write(const moe_map *map, const char *path, moe_error *err);

/** @return whether a file says that it is a map; false if it cannot be read. */
bool moe_map_is(const char *path);

/** Read back. Values are checked: none is out of range, and winners and margins
 *  are those of the layer times. Release with moe_map_fini(); after an error
 *  there is nothing to release.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_map_read(const char *path, moe_map *map, moe_error *err);

#endif
