/** ngrams.h: how often each expert is visited after the last one, two and
 *  three token ids.
 *
 *  A share backs off from three ids to two, to one, to all tokens by absolute
 *  discounting: of n tokens with the same last ids, c visit an expert, so that
 *
 *      p(e | ids) = max(c - D, 0) / n + D * met / (n k) * p(e | fewer ids)
 *
 *  where `met` experts have c > 0, and D = n1 / (n1 + 2 n2) of the layer and
 *  order, with n1, n2 the counts of 1 and 2. All shares of a token sum to k.
 *  Source: Ney, Essen, Kneser, Computer Speech & Language 8(1), 1994. What is
 *  before a sequence is an id of its own.
 */
#ifndef MOEGPS_PREDICTOR_NGRAMS_H
#define MOEGPS_PREDICTOR_NGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/learned.h"
#include "moegps/predictor.h"

enum { MOE_NGRAM_ORDERS = 3 }; /* longest n-gram */

#define MOE_NGRAM_NONE UINT32_MAX        /* a row that training does not have */
#define MOE_NGRAM_START (UINT32_MAX - 1) /* the id before a sequence */

/** n-grams of all orders, numbered: a hash table. */
typedef struct moe_ngram_index {
    uint32_t rows, slots; /* slots: a power of two, above the rows */
    uint32_t *slot;       /* [slots] row + 1; 0: free */
    uint32_t (*id)[MOE_NGRAM_ORDERS]; /* [rows] the token's own first; behind
                                         the order MOE_NGRAM_NONE */
} moe_ngram_index;

/** Make room for so many rows; release with moe_ngram_index_fini() in any
 *  case. @return MOE_OK, MOE_NOMEM. */
moe_status moe_ngram_index_init(moe_ngram_index *index, uint32_t most,
                                moe_error *err);
void moe_ngram_index_fini(moe_ngram_index *index);

/** Number an n-gram, as the next if it is new. @return its row. */
uint32_t moe_ngram_index_put(moe_ngram_index *index, const uint32_t *id);

/** Rows of token i's n-grams, order by order.
 *  @param first     token number where its sequence begins
 *  @param rows_out  [MOE_NGRAM_ORDERS], MOE_NGRAM_NONE where there is none. */
void moe_ngram_index_find(const moe_ngram_index *index, const moe_trace *trace,
                          uint64_t first, uint64_t i, uint32_t *rows_out);

/** The n-gram of an order that ends at token i. @param id_out  [orders]. */
void moe_ngram_of(const moe_trace *trace, uint64_t first, uint64_t i, int order,
                  uint32_t *id_out);

/* ---- as a predictor has them ---- */

typedef struct moe_ngrams {
    int experts, top_k;
    moe_ngram_index index;
    const float *seen;           /* [rows] tokens that end so */
    const float *share;          /* [trained layers][experts] of all tokens */
    const float *discount;       /* [trained layers][orders] */
    const float *expert, *count; /* [entries] */
    const float *first; /* [entries] of those, how often it was named first;
                           0 in rows of more than one id; NULL: not known */
    size_t **start;     /* [n_layers] -> [rows + 1], owned */
    int n_layers;
    const int *layers; /* [n_layers] borrowed from env */
    size_t numbers;    /* that it holds */
} moe_ngrams;

/** Open what training made, the part "ngram". Release with moe_ngrams_fini()
 *  in any case. @return MOE_OK, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_ngrams_init(moe_ngrams *g, const moe_predictor_env *env,
                           const moe_learned_part *part, moe_error *err);
void moe_ngrams_fini(moe_ngrams *g);

/** The same of env->learned, for who rests on it. @param seed  that both were
 *  trained with. @return as moe_ngrams_init(), or MOE_USAGE (it is not there),
 *  MOE_MISMATCH. */
moe_status moe_ngrams_open(moe_ngrams *g, const moe_predictor_env *env,
                           uint64_t seed, moe_error *err);

/** Share of tokens like this one that visit each expert.
 *  @param layer  of the run
 *  @param rows   [MOE_NGRAM_ORDERS] as found
 *  @param one    [experts] by its own id alone
 *  @param all    [experts] by the longest n-gram. */
void moe_ngrams_share(const moe_ngrams *g, int layer, const uint32_t *rows,
                      float *one, float *all);

/** Have caches fetch what that will look at: first where rows begin, then
 *  their entries. */
void moe_ngrams_fetch(const moe_ngrams *g, int layer, const uint32_t *rows,
                      bool entries);

/* ---- as training counts them ---- */

/** The training part, layer by layer. */
typedef struct moe_ngram_census {
    const moe_trace *trace;
    const uint8_t *part;               /* [n_seqs] moe_neural_part */
    moe_ngram_index index;             /* of those that are kept */
    uint32_t (*row)[MOE_NGRAM_ORDERS]; /* [n_tokens] of the training part */
    uint32_t *seen;   /* [rows] tokens of the fitted sequences */
    uint32_t *visits; /* [rows][experts] of the layer */
    uint32_t *firsts; /* the same, as the first expert; rows of one id only */
    float *share;     /* [experts] of all fitted tokens */
    float discount[MOE_NGRAM_ORDERS];
    const uint16_t *experts_of; /* [n_tokens][top_k] of the layer */
    uint64_t tokens;            /* fitted */
} moe_ngram_census;

/** Number the n-grams of the fitted sequences. Those of two and three ids that
 *  occur once are left out. Release with moe_ngram_census_fini() in any case.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_ngram_census_init(moe_ngram_census *c, const moe_trace *trace,
                                 const uint8_t *part, moe_error *err);
void moe_ngram_census_fini(moe_ngram_census *c);

/** Count a layer. */
void moe_ngram_census_layer(moe_ngram_census *c, int layer);

/** Take a fitted sequence out of all counts, or put it back: what is foretold
 *  of its tokens is then foretold as of a sequence never seen. */
void moe_ngram_census_leave(moe_ngram_census *c, uint64_t seq);
void moe_ngram_census_return(moe_ngram_census *c, uint64_t seq);

/** As moe_ngrams_share(), of a token of the training part. */
void moe_ngram_census_share(const moe_ngram_census *c, uint64_t token,
                            float *one, float *all);

/** Write the tables of all layers into a part.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_ngram_census_write(moe_ngram_census *c, moe_learned_part *part,
                                  moe_error *err);

#endif
