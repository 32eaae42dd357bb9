/** detail.h: what a report shows of one run beyond its view: how it was made,
 *  and the loads, stragglers and traffic that figures draw.
 *
 *  Read block by block, as the view is; what it holds does not grow with the
 *  number of layers.
 */
#ifndef MOEGPS_DETAIL_H
#define MOEGPS_DETAIL_H

#include <stdint.h>

#include "moegps/facts.h"
#include "moegps/status.h"
#include "moegps/view.h"

/** An attribute of /config or /provenance. */
typedef struct moe_fact_text {
    char name[64], text[256];
} moe_fact_text;

typedef struct moe_detail {
    char *input, *command_line; /* the experiment file, and how it was run;
                                   owned */
    char *model_profile, *cluster_profile; /* YAML that the numbers rest on;
                                   owned; NULL: the run did not keep it */
    moe_fact_text *fact;                   /* [n_facts] owned */
    size_t n_facts;
    int unbound;  /* ranks that could use all cores of their node */
    int ranks;    /* of the file */
    int strategy; /* that busy and traffic are of */
    int layer;    /* the one with the most skewed load, mean over iterations */
    int layer_number; /* its number in the model */
    double
        *true_share; /* [experts] of that layer's pairs, mean over iterations */
    double *predicted;  /* [strategies][experts] predicted shares; NaN: none */
    double *home;       /* [gpus] pairs of the busiest, the second, ... GPU over
                           the mean of all, had every expert stayed at home;
                           mean over iterations and layers */
    double *load;       /* [strategies][gpus] the same, as it was */
    int32_t *layers;    /* [layers] their numbers in the model */
    double *layer_time; /* [strategies][layers] s on the clock that counts, mean
                           over measured iterations */
    double *skew;       /* [layers] max/mean pairs over experts, mean over
                           iterations */
    double *busy;       /* [gpus][iterations] s, mean over layers: what each
                           spent on the clock that counts, waiting left out */
    double *traffic;    /* [source][destination] B per iteration and layer in
                           dispatch */
} moe_detail;

/** Read what belongs to a view from its file. Not collective. Release with
 *  moe_detail_free().
 *  @param strategy  whose stragglers and traffic are wanted.
 *  @param clock     that busy is of: MOE_CLOCK_WALL or MOE_CLOCK_GPU.
 *  @return MOE_OK, MOE_USAGE (the file is gone: runs of a sweep may be
 *  elsewhere), MOE_MISMATCH (it is of another run), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_detail_read(const moe_view *view, int strategy, moe_clock clock,
                           moe_detail *out, moe_error *err);

/** @return time of a rank in an iteration over the mean of all ranks. */
double moe_detail_straggle(const moe_detail *detail,
                           const moe_ledger_dims *dims, int iteration,
                           int rank);

/** @return mean time of a rank over the iterations that it measured, s; NaN:
 *  none. */
double moe_detail_busy(const moe_detail *detail, const moe_ledger_dims *dims,
                       int rank);

/** @return the text of a fact; "" without. Borrowed. */
const char *moe_detail_fact(const moe_detail *detail, moe_fact fact);

void moe_detail_free(moe_detail *detail);

#endif
