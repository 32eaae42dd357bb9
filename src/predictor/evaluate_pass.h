/** evaluate_pass.h: what an evaluation counts, and what is made of it. */
#ifndef MOEGPS_PREDICTOR_EVALUATE_PASS_H
#define MOEGPS_PREDICTOR_EVALUATE_PASS_H

#include "moegps/evaluate.h"

enum { MOE_CALIBRATION_BINS = 10 }; /* of probabilities, equally wide */

/* What the pass over sequences counted, by group of sequences. */
typedef struct {
    int n;             /* groups */
    double *truth;     /* [n][n_layers][experts] pairs */
    double *predicted; /* the same */
    double *first;     /* [n][n_layers] first experts foretold */
    double *hits;      /* the same: pairs foretold */
    double *tokens;    /* [n] */
    double *promised;  /* [n][n_layers][MOE_CALIBRATION_BINS] probabilities */
    double *kept;      /* the same: pairs that came of them */
} moe_evaluate_sums;

typedef struct {
    const moe_evaluate_params *p;
    int n_layers;
    int *layers;                        /* [n_layers] numbers in the trace */
    uint64_t n_seqs, n_tokens, longest; /* of the test part */
    int clusters; /* that its sequences are of; 0: groups are of sequences
                           that follow one another */
    int *group;   /* [n_seqs] of sums, of each of its sequences */
    uint64_t n_batches, max_tokens;
    moe_forecast forecast;
    void *state;         /* of the predictor */
    uint16_t *choice;    /* [max_tokens][top_k] */
    double *share;       /* [experts] */
    uint64_t *load;      /* [experts] */
    double *batch_error; /* [n_layers + 1][n_batches]; last the mean */
    moe_evaluate_sums sums;
} moe_evaluate_pass;

/** Work out the metrics of all layers and their means from the counts.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_evaluate_metrics(const moe_evaluate_pass *c, moe_evaluation *v,
                                moe_error *err);

/** Products by which a GPU would predict, and what they would take there. */
void moe_evaluate_price(const moe_evaluate_pass *c, moe_evaluation *v);

#endif
