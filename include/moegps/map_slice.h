/** map_slice.h: a map in two dimensions: skewness by bandwidth or, where links
 * are the clusters' own, by cluster; and where the verdict flips in it.
 *
 * Between neighbouring cells layer times are taken to go straight with
 * skewness, and with the reciprocal of bandwidth, as a transfer's time does.
 */
#ifndef MOEGPS_MAP_SLICE_H
#define MOEGPS_MAP_SLICE_H

#include "moegps/map.h"

typedef struct moe_map_slice {
    const moe_map *map;    /* borrowed */
    moe_map_cell rest;     /* its case, batch and accuracy; cluster of all rows,
                            unless a row is a cluster */
    int *skew, *row;       /* [n_skew], [n_row] numbers along the map's
                            dimension, values ascending, each once; clusters in
                            their order; owned */
    int n_skew, n_row;     /* at least 1 */
    int all_skew, all_row; /* before some were left out */
} moe_map_slice;

/* @return slices of one case: of every cluster, unless it is a row, batch and
 * accuracy. */
size_t moe_map_slices(const moe_map *map);

/* Take slice `i`, by batch and accuracy within a cluster.
 * @param most  values along a side; of more, `most` are taken evenly, the ends
 *              among them; 0: all.
 * @return MOE_OK, MOE_NOMEM. Release with moe_map_slice_fini(). */
moe_status moe_map_slice_init(moe_map_slice *x, const moe_map *map,
                              moe_advise_case c, size_t i, int most,
                              moe_error *err);
void moe_map_slice_fini(moe_map_slice *x);

/* Of the k-th skewness and the j-th row: index into winner and margin, and
 * layer times by strategy. */
size_t moe_map_slice_at(const moe_map_slice *x, int k, int j);
const double *moe_map_slice_times(const moe_map_slice *x, int k, int j);
double moe_map_slice_skew(const moe_map_slice *x, int k);
double moe_map_slice_bandwidth(const moe_map_slice *x, int j); /* B/s */

/* Where cells meet: the k-th border of columns, k in 0..n_skew, in skewness;
 * the j-th of rows in B/s, or in rows. */
double moe_map_slice_side(const moe_map_slice *x, int k);
double moe_map_slice_level(const moe_map_slice *x, int j);

/* Within a map a place is a number of cells: 0 at the first, -0.5 and n - 0.5 at
 * the outer sides. Its skewness; its row in B/s, or in rows; its layer times by
 * strategy. */
double moe_map_slice_skew_at(const moe_map_slice *x, double k);
double moe_map_slice_level_at(const moe_map_slice *x, double j);
void moe_map_slice_times_at(const moe_map_slice *x, double k, double j,
                            double out[MOE_ADVISE_STRATEGIES]);

/* "on a100-nvlink, batch 2, accuracy 0.8"; what is alike in all slices but the
 * cluster is left out. */
void moe_map_slice_name(const moe_map_slice *x, char *text, size_t size);

typedef struct moe_map_flip {
    double at; /* share of the way */
    int from, to;
} moe_map_flip;

/* Find the flips on the straight way between two cells' layer times; there are
 * no more than two, as three strategies take part.
 * @return how many. */
int moe_map_flips(const double *a, const double *b, moe_map_flip out[2]);

/* Winners along a way, and where each takes over. */
enum { MOE_MAP_CHAIN = 3 };
typedef struct moe_map_chain {
    int n;                         /* flips; more may be counted than kept */
    int winner[MOE_MAP_CHAIN + 1]; /* the first, and after each flip */
    double at[MOE_MAP_CHAIN];      /* skewness, or B/s */
} moe_map_chain;

/* Follow a column with rising bandwidth, or a row with rising skewness. */
moe_map_chain moe_map_column_chain(const moe_map_slice *x, int k);
moe_map_chain moe_map_row_chain(const moe_map_slice *x, int j);

/* A piece of the line where the verdict flips: skewness, and B/s or rows. */
typedef struct moe_map_line {
    double skew[2], level[2];
} moe_map_line;

/* Call for all pieces. Cells at the border reach to their outer side
 * unchanged, so that the line does, too. */
void moe_map_lines(const moe_map_slice *x,
                   void (*put)(const moe_map_line *line, void *arg), void *arg);

/* @return share of a cluster's cells that a strategy wins in a case, over all
 * batches and accuracies; the mean over clusters. */
double moe_map_share(const moe_map *map, int cluster, moe_advise_case c,
                     moe_advise_strategy s);
double moe_map_share_of_all(const moe_map *map, moe_advise_case c,
                            moe_advise_strategy s);

#endif
