/** synth.h: made-up traces with dials: skew, drift, and how much of a token's
 *  routing its id gives away.
 *
 *  For experiments that no recorded trace covers, and for tests that must know
 *  the right answer. An expert's popularity is a weight; the k distinct
 *  experts of a token are drawn so that expert e is among them with
 *  probability min(1, c * weight[e]), c such that these sum to k. So the
 *  skewness of a trace is at most experts / top_k.
 *
 *  Every number is drawn from Philox at an address of its own: the trace is a
 *  function of the parameters alone.
 */
#ifndef MOEGPS_SYNTH_H
#define MOEGPS_SYNTH_H

#include <stdint.h>

#include "moegps/options.h"
#include "moegps/status.h"
#include "moegps/trace.h"

typedef enum moe_synth_shape {
    MOE_SYNTH_LOGNORMAL, /* weight = exp(sigma * normal), drawn per layer */
    MOE_SYNTH_ZIPF,      /* weight = 1 / rank^exponent, ranks per layer */
    MOE_SYNTH_SHARES     /* weights given, the same in every layer */
} moe_synth_shape;

typedef struct moe_synth_params {
    moe_trace_kind kind;
    char model[64]; /* name to put into the trace */
    int layers, experts, top_k;
    int seqs;   /* sequences, or steps of a load trace */
    int tokens; /* in each of them */
    moe_synth_shape shape;
    double sigma;          /* lognormal */
    double exponent;       /* zipf */
    char shares[16384];    /* one weight per expert, comma-separated */
    double drift;          /* sd per sequence of the random walk of the
                              logarithm of each weight */
    int vocab;             /* token traces: number of token ids */
    double vocab_exponent; /* zipf exponent of their frequencies */
    double strength;       /* 0..1: share of tokens whose experts follow from
                              their id; the others are drawn afresh */
    double test_share;     /* of the sequences */
    char split[64];        /* tail, random: with test_share and seed; or what
                              moe_trace_split_parse() reads */
    bool noise;            /* load traces: draw every token's experts, instead
                              of rounding the expected counts */
    uint64_t seed;
} moe_synth_params;

/** Rows of moe_synth_params; fill defaults with moe_opt_defaults(). */
extern const moe_opt moe_synth_options[];

/** Make a trace. Not collective; deterministic.
 *  Its order is time, which drift needs. Load traces hold the counts of drawn tokens, or, without noise, expected
 *  counts rounded by largest remainder. Token traces are ordered and have positions and ids.
 *  @param out  release with moe_trace_free(). Untouched on error.
 *  @return MOE_OK, MOE_USAGE (parameters that contradict each other),
 *  MOE_NOMEM. */
moe_status moe_synth(const moe_synth_params *params, moe_trace *out,
                     moe_error *err);

/** Turn weights into the probability that an expert is among the k distinct
 *  ones of a token: proportional, capped at 1, summing to k.
 *  @param weight  [n] >= 0, at least one above 0.  @param k  in 1..n.
 *  @param out     [n]. */
void moe_synth_inclusion(const double *weight, int n, int k, double *out);

/** Round tokens * inclusion[e] to whole pairs: largest remainder, no expert
 *  above `tokens`, sum exactly tokens * k. Equal remainders: lower id first.
 *  @param inclusion   [n] from moe_synth_inclusion().
 *  @param counts_out  [n]. */
void moe_synth_apportion(const double *inclusion, int n, int k, uint32_t tokens,
                         uint32_t *counts_out);

/** Draw the experts of `tokens` tokens and count them: k distinct ones each,
 *  every expert with its inclusion probability, tokens independent, in no
 *  company that comes again; in a time that does not grow with tokens. Means
 *  and variances are those of such tokens, but for whole pairs; counts of two
 *  experts vary against each other as far as k distinct ones of a token must
 *  (Deville and Tille 2005, J. Statist. Plann. Inference 128).
 *  @param inclusion   [n] from moe_synth_inclusion().
 *  @param counts_out  [n], summing to tokens * k, none above `tokens`. */
void moe_synth_draw_counts(const double *inclusion, int n, int k,
                           uint32_t tokens, moe_rng *rng, uint32_t *counts_out);

#endif
