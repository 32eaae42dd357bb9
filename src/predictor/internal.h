/** internal.h: what the predictors of this folder share.
 *
 *  A table holds, for every layer and every kind of token (a row), the k
 *  experts that the training part's tokens of that kind visited most, with
 *  probabilities. Rare kinds lean on all tokens, unseen ones (row 0) are
 *  foretold as all tokens are.
 */
#ifndef MOEGPS_PREDICTOR_INTERNAL_H
#define MOEGPS_PREDICTOR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/predictor.h"

/** The forecast hook of members that always speak of loads, or of tokens. */
moe_forecast moe_forecast_of_load(const void *params);
moe_forecast moe_forecast_of_tokens(const void *params);

/** A share per layer and expert, which begins as that of the training part.
 *  It is the first member of a state, so that the hooks below serve it. */
typedef struct moe_shares {
    int n_layers, experts;
    bool trained;  /* false: the training part of some layer is empty */
    double *share; /* [n_layers][experts] */
} moe_shares;

/** Count the training part: (pairs + smoothing) / (their sum), or even shares
 *  where that sum is 0. Release with moe_shares_fini() in any case.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_shares_init(moe_shares *shares, const moe_predictor_env *env,
                           double smoothing, moe_error *err);

/** The parameters and fini hooks of a state that holds nothing else. */
size_t moe_shares_parameters(const void *state);
void moe_shares_fini(void *state);

/** How a predictor tells kinds of tokens apart. */
typedef struct moe_predictor_keys {
    const char *name; /* of the predictor, for messages */
    uint32_t n_keys;  /* 0: all tokens are alike */
    uint32_t (*key)(const moe_trace *trace, uint64_t token);
} moe_predictor_keys;

typedef struct moe_predictor_table {
    int n_layers, experts, top_k;
    size_t rows;      /* 1 + kinds seen in training */
    uint32_t *row_of; /* [n_keys] */
    uint16_t *choice; /* [n_layers][rows][top_k] likeliest first */
    float *score;     /* the same: share of a row's tokens that visit it */
    double *visit;    /* [n_layers][experts] share of all tokens */
} moe_predictor_table;

/** Count the training part. The score of an expert in a row of n tokens that
 *  visited it c times is (c + weight * v) / (n + weight), v being the share of
 *  all tokens that visit it. In an ordered trace the first of the k is the
 *  likeliest first choice.
 *  @param out  zeroed; release with moe_predictor_table_fini() in any case.
 *  @return MOE_OK, MOE_USAGE (a load trace, an empty training part),
 *  MOE_NOMEM. */
moe_status moe_predictor_table_make(const moe_predictor_env *env,
                                    const moe_predictor_keys *keys,
                                    double weight, moe_predictor_table *out,
                                    moe_error *err);
void moe_predictor_table_fini(moe_predictor_table *table);

/** Experts of one token. @param experts_out  [top_k]. */
static inline void predictor_table_choose(const moe_predictor_table *table,
                                          int layer, size_t row,
                                          uint16_t *experts_out)
{
    const size_t k = (size_t)table->top_k;
    const uint16_t *choice =
        table->choice + ((size_t)layer * table->rows + row) * k;
    for (size_t j = 0; j < k; j++)
        experts_out[j] = choice[j];
}

/** Add one token's expected load: its k experts by their scores, the others
 *  by what is left, as all tokens visit them.
 *  @param load  [experts] pairs in units of 1 / MOE_LOAD_ONE. */
void moe_predictor_table_expect(const moe_predictor_table *table, int layer,
                                size_t row, uint64_t *load);

/** @return numbers in the table: choices, scores and shares. */
size_t moe_predictor_table_numbers(const moe_predictor_table *table);

/** What a token predictor sends to the planner: an own option of each. */
enum { PREDICTOR_CHOICES, PREDICTOR_PROBABILITIES };
extern const char *const moe_predictor_collects[];
#define PREDICTOR_COLLECTS(params, member)                                  \
    {                                                                       \
        .key = "collects", .type = MOE_OPT_ENUM, .initial = "choices",      \
        .choices = moe_predictor_collects, MOE_OPT_AT(params, member),      \
        .help = "what the planner sees: counts of the choices, or sums of " \
                "probabilities"                                             \
    }

/** The price of a look-up per token: a product of depth 1. */
int moe_predictor_lookup_work(int top_k, double tokens, moe_gemm_run *runs_out);

#endif
