/** directly.h: what linear predictors look at, as their headers define it, worked
 *  out of a trace alone and in doubles. For traces of trained.h.
 */
#ifndef MOEGPS_TESTS_DIRECTLY_H
#define MOEGPS_TESTS_DIRECTLY_H

#include "../src/predictor/features.h"
#include "../src/predictor/neural.h"
#include "../src/predictor/ngrams.h"
#include "trained.h"

static inline int id_before(const moe_trace *t, uint64_t first, uint64_t i,
                            uint64_t back)
{
    return i - first >= back ? (int)t->token_id[i - back] : -1;
}

/* What is counted: fitted sequences but `left`. */
typedef struct {
    const moe_trace *trace;
    const uint8_t *part;   /* [SEQS] moe_neural_part */
    const float *discount; /* [MOE_NGRAM_ORDERS] of the layer */
    int layer;
    uint64_t left;
} counting;

static inline bool ends_alike(const moe_trace *t, uint64_t s, uint64_t i,
                              uint64_t first, uint64_t token, int order)
{
    bool same = true;
    for (uint64_t b = 0; (int)b <= order; b++)
        same = same && id_before(t, t->seq_offset[s], i, b) ==
                           id_before(t, first, token, b);
    return same;
}

/* The definition of ngrams.h. @param one  [E] by the token's own id
 * @param all  [E] by its last three */
static inline void share_directly(const counting *q, uint64_t first,
                                  uint64_t token, double *one, double *all)
{
    const moe_trace *t = q->trace;
    const uint16_t *experts =
        t->experts_of + (size_t)q->layer * t->n_tokens * K;
    for (int o = -1; o < MOE_NGRAM_ORDERS; o++) {
        double c[E] = {0}, n = 0, whole = 0, met = 0;
        for (uint64_t s = 0; s < SEQS; s++)
            for (uint64_t i = t->seq_offset[s];
                 q->part[s] == NEURAL_FIT && i < t->seq_offset[s + 1]; i++) {
                const bool same = ends_alike(t, s, i, first, token, o);
                whole += same;
                if (!same || (s == q->left && o >= 0))
                    continue;
                n++;
                for (int j = 0; j < K; j++)
                    c[experts[i * K + (uint64_t)j]]++;
            }
        for (int e = 0; e < E; e++)
            met += c[e] > 0;
        const double d = o < 0 ? 0 : (double)q->discount[o];
        if (o < 0 || (n > 0 && (o == 0 || whole >= 2)))
            for (int e = 0; e < E; e++)
                all[e] = fmax(c[e] - d, 0) / n +
                         (o < 0 ? 0 : d * met / (n * K) * all[e]);
        if (o == 0)
            memcpy(one, all, E * sizeof *one);
    }
}

/* Shares by the token's own id, and by its last three. */
typedef void share_of_token(const void *arg, uint64_t first, uint64_t token,
                            double *one, double *all);

enum { MOST_WIDTH = 9 * E + WIDTH + 1 };

static inline uint64_t context_directly(uint64_t first, uint64_t token)
{
    const uint64_t blocks = (token - first) / MOE_FEATURE_SPAN;
    return blocks < 2 ? first : first + (blocks - 1) * MOE_FEATURE_SPAN;
}

/* A row of features.h. @param hidden  [L][tokens][WIDTH]
 * @return its floats */
static inline int row_directly(const moe_features *f, const float *hidden,
                               share_of_token *share, const void *arg,
                               uint64_t first, uint64_t token, double *row)
{
    static const double kept[] = {0.5, 0.9, 0.99};
    const moe_trace *t = f->trace;
    const uint64_t from = context_directly(first, token);
    double one[E], all[E], *mean = row + 2 * E, *past = mean + 3 * E;
    past += (f->sees & MOE_SEES_LAYERS) != 0 ? 3 * E : 0;
    memset(row, 0, MOST_WIDTH * sizeof *row);
    share(arg, first, token, row, row + E);
    for (int m = 0; m < 3; m++) {
        double total = 0;
        for (uint64_t i = from; i < token; i++)
            total += pow(kept[m], (double)(token - 1 - i));
        if (from == token)
            memcpy(mean + m * E, row, E * sizeof *row);
        for (uint64_t i = from; i < token; i++) {
            const double w = pow(kept[m], (double)(token - 1 - i)) / total;
            const uint16_t *e =
                t->experts_of + ((size_t)f->layer * t->n_tokens + i) * K;
            share(arg, first, i, one, all);
            for (int x = 0; x < E; x++) {
                mean[m * E + x] += w * one[x];
                if ((f->sees & MOE_SEES_TOKENS) != 0)
                    past[(m + 1) * E + x] += w * (e[0] == x || e[1] == x);
            }
        }
    }
    const uint16_t *before =
        t->experts_of + ((size_t)f->layer * t->n_tokens + token - 1) * K;
    for (int x = 0; x < E && token > from; x++)
        if ((f->sees & MOE_SEES_TOKENS) != 0)
            past[x] = before[0] == x || before[1] == x;
    for (int d = 0; d < 3 && (f->sees & MOE_SEES_LAYERS) != 0; d++) {
        const int l = f->layer - f->lookahead - d;
        const size_t at = ((size_t)l * t->n_tokens + token) * K;
        for (int j = 0; l >= 0 && j < K; j++)
            mean[(3 + d) * E + t->experts_of[at + (size_t)j]] =
                t->gate != NULL ? K * (double)t->gate[at + (size_t)j] : 1;
    }
    double *end = past + ((f->sees & MOE_SEES_TOKENS) != 0 ? 4 * E : 0);
    if ((f->sees & MOE_SEES_HIDDEN) != 0) {
        const int l = f->layer - f->lookahead;
        for (int i = 0; i < WIDTH; i++)
            *end++ =
                l < 0
                    ? 0
                    : (double)hidden[((size_t)l * t->n_tokens + token) * WIDTH +
                                     (size_t)i];
    }
    *end++ = 1;
    return (int)(end - row);
}

#endif
