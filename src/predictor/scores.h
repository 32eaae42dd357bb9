/** scores.h: from scores of experts to choices, probabilities and loads.
 */
#ifndef MOEGPS_PREDICTOR_SCORES_H
#define MOEGPS_PREDICTOR_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lanes.h"

/** Knots are evenly spaced in sqrt(score) from 0 to 2, straight lines between
 *  them. */
enum { MOE_SCORE_KNOTS = 33 };

/** From the scores of a layer to probabilities. */
typedef struct moe_score_map {
    const float *knot;  /* [MOE_SCORE_KNOTS] rising, or NULL: none */
    const float *times; /* [experts] what each is multiplied by behind it */
} moe_score_map;

/** What is done to the scores of a layer. */
typedef struct moe_score_job {
    int experts, top_k;
    bool logits; /* scores are k softmax of what is there */
    moe_score_map map;
    float *scratch; /* [experts][MOE_LANES] */
} moe_score_job;

/** Make scores of what a predictor says: of logits, if that is what it is. */
void moe_score_open(const moe_score_job *job, float *score, size_t rows);

/** The same; then choose experts by scores, ties to the lower one; then make probabilities of
 *  the scores: put them through the map, and scale those of a token so that
 *  they sum to k and none is above 1.
 *  @param score   [rows][experts] finite, overwritten
 *  @param choice  [rows][top_k], falling by score; NULL: not wanted. */
void moe_score_settle(const moe_score_job *job, float *score, size_t rows,
                      uint16_t *choice);

/** The k experts of highest score of one token, ties to the lower one, falling. */
void moe_score_choose(const float *score, int experts, int k, uint16_t *out);

/** Where a score is among the knots, 0..MOE_SCORE_KNOTS - 1. */
float moe_score_place(float score);

/** Add up the pairs of tokens as integers that sum to k a token, in units of
 *  1 / MOE_LOAD_ONE; what rounding leaves is the likeliest expert's.
 *  @param score  [rows][experts] probabilities
 *  @param load   [experts], added to. */
void moe_score_load(const float *score, size_t rows, int experts, int k,
                    uint64_t *load);

#endif
