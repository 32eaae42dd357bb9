/** evaluate.h: how good a predictor is, and what it costs.
 *
 *  A predictor is set up as in a run and asked about the test part, which it
 *  has not seen: sequence by sequence for accuracy and the distribution as a
 *  whole, batch by batch for what a planner would get. Beside each figure
 *  stands how sure it is and what chance alone would make of it.
 */
#ifndef MOEGPS_EVALUATE_H
#define MOEGPS_EVALUATE_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/layer_price.h"
#include "moegps/predictor.h"
#include "moegps/stats.h"
#include "moegps/status.h"
#include "moegps/trace.h"

enum { MOE_EVALUATE_CLUSTERS = 6 }; /* fewer have no interval of their own */

/** A share, an error, ... and the interval that holds it with 95 %. */
typedef struct moe_estimate {
    double value;           /* NaN: does not apply */
    double ci_low, ci_high; /* NaN: too few sequences or batches */
} moe_estimate;

/** What is known of one layer, or means over layers (intervals of those means). */
typedef struct moe_evaluation_row {
    double skewness; /* of the test part: pairs of the busiest expert / mean */
    moe_estimate error;       /* of the distribution over the whole test part,
                           sum_e |p^(e) - p(e)|; interval: over sequences; NaN
                           of predictors that learn while running: they
                           foretell the next batch */
    double error_floor;       /* what error would be if the prediction were the
                           distribution that the tokens are drawn from */
    moe_estimate batch_error; /* the same per batch: median over batches, and
                                 its interval */
    double batch_floor;       /* what error_floor is, for one batch */
    moe_estimate top1;        /* share of tokens whose first expert is foretold;
                            ordered traces and tokens only */
    moe_estimate recall;      /* share of a token's experts that are foretold;
                            tokens only */
    moe_estimate calibration; /* sum over ten bins of probability of
                                 |foretold - true pairs|, of all pairs; who
                                 says probabilities only */
} moe_evaluation_row;

typedef struct moe_evaluation {
    moe_forecast forecast;
    int lookahead; /* layers ahead that it foretold, or MOE_LOOKAHEAD_ALL */
    int n_layers;
    int *layers;                /* [n_layers] numbers in the trace; owned */
    moe_evaluation_row *layer;  /* [n_layers] owned */
    moe_evaluation_row mean;    /* over layers */
    uint64_t tokens, sequences; /* of the test part */
    int clusters;               /* that intervals are over; 0: groups */
    uint64_t batches;           /* made of it, at most 1000 */
    bool recorded;              /* batches follow one another as recorded */
    double batch_tokens;        /* mean of a batch */
    size_t parameters;          /* numbers that it holds, all layers */
    double flops;               /* per token and layer, by its products */
    moe_summary cpu_s;          /* CPU time per token and layer, measured here;
                                  over repeats */
    double train_cpu_s;         /* CPU time of init */
    double price_s; /* per layer and batch on the gpu clock; NaN: no cluster */
    moe_price_source price_source;
} moe_evaluation;

/** What is evaluated, and on what. All borrowed. */
typedef struct moe_evaluate_params {
    const moe_trace *trace;
    const moe_predictor *predictor;
    const void *params;         /* of the predictor */
    moe_h5_image file;          /* that the predictor names */
    const moe_learned *learned; /* what training made; NULL: nothing */
    const int *layers;          /* [n_layers] numbers in the trace; NULL: all */
    int n_layers;
    int batch, seq; /* sequences of a batch and tokens of each; seq 0: whole
                       sequences (steps) of the trace */
    moe_batch_order order; /* of batches */
    uint64_t seed;
    int lookahead;            /* layers; who needs none is given none */
    int repeats;              /* of the timing, >= 1 */
    const moe_pricer *pricer; /* NULL: no price */
    /** Called as it goes on. @param done  share of it, rising to 1. NULL:
     *  nobody asks. */
    void (*step)(void *arg, double done);
    void *arg;
} moe_evaluate_params;

/** Evaluate one predictor. Not collective.
 *  Intervals of error, top1, recall and calibration are by the jackknife, with
 *  Student's t: where the trace names clusters (subjects, data sets), at least
 *  MOE_EVALUATE_CLUSTERS of them in the test part, each is left out once; else
 *  up to 32 groups of sequences that follow one another, with as many degrees
 *  of freedom as they are worth; none below 12 groups. Online predictors see the iterations in order, as in a run.
 *  @param out  release with moe_evaluation_fini(). Untouched on error.
 *  @return MOE_OK, MOE_USAGE (no test part, a batch larger than it, what the
 *  predictor's init says), MOE_NOMEM. */
moe_status moe_evaluate(const moe_evaluate_params *params, moe_evaluation *out,
                        moe_error *err);
void moe_evaluation_fini(moe_evaluation *evaluation);

/** Expected sum_e |X_e / (T k) - p(e)| when each of T tokens visits expert e
 *  with probability k p(e), independently of other tokens: chance alone.
 *  Source: the mean deviation of the binomial, de Moivre 1730 (Diaconis &
 *  Zabell, Statistical Science 6(3), 1991, equation 1.1).
 *  @param share  [n] summing to 1, none above 1 / k. */
double moe_noise_floor(const double *share, int n, int k, double tokens);

#endif
