/** counts.h: what tokens of a kind visited in training.
 *
 *  For every layer and every kind of token (a row) the table holds the k
 *  experts that the training part's tokens of that kind visited most, with
 *  probabilities. Rare kinds lean on all tokens. Row 0 stands for kinds that
 *  training never saw: all tokens together.
 */
#ifndef MOEGPS_PREDICTOR_COUNTS_H
#define MOEGPS_PREDICTOR_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/predictor.h"

/** How a predictor tells kinds of tokens apart. */
typedef struct moe_token_kinds {
    const char *name;  /* of the predictor, for messages */
    const char *needs; /* what n_kinds is 0 without: "token ids"; NULL: all
                          tokens are of one kind */
    uint32_t n_kinds;
    /** @return the kind of token i, 0..n_kinds-1, from the columns of a trace
     *  or of a batch. */
    uint32_t (*kind)(const uint32_t *token_id, const int32_t *position,
                     uint64_t i);
} moe_token_kinds;

typedef struct moe_counts {
    int n_layers, experts, top_k;
    size_t rows;      /* 1 + kinds seen in training */
    uint32_t *row_of; /* [n_kinds], or NULL: all are of row 0 */
    uint16_t *choice; /* [n_layers][rows][top_k] likeliest first */
    float *score;     /* the same: share of a row's tokens that visit it */
    double *visit;    /* [n_layers][experts] share of all tokens */
} moe_counts;

/** Count the training part. The score of an expert in a row of n tokens that
 *  visited it c times is (c + prior * v) / (n + prior), where v is the share
 *  of all tokens that visit it. In an ordered trace the first of the k is the
 *  likeliest first choice.
 *  @param prior  tokens, >= 0.
 *  @param out    zeroed; release with moe_counts_fini() in any case.
 *  @return MOE_OK, MOE_USAGE (a load trace, a trace without what `kinds`
 *  needs, an empty training part), MOE_NOMEM. */
moe_status moe_counts_init(moe_counts *out, const moe_predictor_env *env,
                           const moe_token_kinds *kinds, double prior,
                           moe_error *err);
void moe_counts_fini(moe_counts *counts);

/** Experts of one token. @param experts_out  [top_k]. */
static inline void moe_counts_choose(const moe_counts *counts, int layer,
                                     size_t row, uint16_t *experts_out)
{
    const size_t k = (size_t)counts->top_k;
    const uint16_t *choice =
        counts->choice + ((size_t)layer * counts->rows + row) * k;
    for (size_t j = 0; j < k; j++)
        experts_out[j] = choice[j];
}

/** Add one token's expected load: its k experts by their scores, the others
 *  by what is left, as all tokens visit them.
 *  @param load  [experts] pairs in units of 1 / MOE_LOAD_ONE. */
void moe_counts_expect(const moe_counts *counts, int layer, size_t row,
                       uint64_t *load);

/** @return numbers that it holds: choices, scores and shares. */
size_t moe_counts_numbers(const moe_counts *counts);

#endif
