/** token_logs.h: what networks start from: the logarithms of the shares with
 *  which tokens of an id visit each expert, log(p(e | id) + 1e-6), as n-gram
 *  tables have them (ngrams.h). In a token of the fitted sequences its own
 *  sequence is left out, as if that had never been seen.
 */
#ifndef MOEGPS_PREDICTOR_TOKEN_LOGS_H
#define MOEGPS_PREDICTOR_TOKEN_LOGS_H

#include "ngrams.h"

typedef struct moe_token_logs {
    const moe_trace *trace; /* borrowed */
    moe_ngrams grams;
    uint32_t *row_of; /* [vocabulary] of the id alone, or MOE_NGRAM_NONE */
} moe_token_logs;

/** Open the part "ngram" of env->learned. Release with moe_token_logs_fini() in
 *  any case. @param seed  that it must have been trained with.
 *  @return MOE_OK, MOE_USAGE (it is not there), MOE_MISMATCH, MOE_FORMAT,
 *  MOE_NOMEM. */
moe_status moe_token_logs_init(moe_token_logs *t, const moe_predictor_env *env,
                               uint64_t seed, moe_error *err);
void moe_token_logs_fini(moe_token_logs *t);

/** @param layer     of the run
 *  @param id        of the token; training may never have seen it
 *  @param away      tokens of this id that are left out, all of them fitted
 *  @param logs_out  [experts] */
void moe_token_logs_row(const moe_token_logs *t, int layer, uint32_t id,
                        const uint64_t *away, size_t n_away, float *logs_out);

/** The same for all ids. @return [vocabulary][experts], to be freed; NULL with
 *  MOE_NOMEM. */
float *moe_token_logs_table(const moe_token_logs *t, int layer, moe_error *err);

#endif
