/** ngrams_shapes.h: the arrays of n-gram tables in a predictor file. */
#ifndef MOEGPS_PREDICTOR_NGRAMS_SHAPES_H
#define MOEGPS_PREDICTOR_NGRAMS_SHAPES_H

#include "ngrams.h"

typedef struct ngram_shapes {
    moe_learned_shape ngram, seen, share, discount, met, visited, count, first;
} ngram_shapes;

static inline ngram_shapes ngram_shapes_of(int layers, int experts,
                                           uint64_t rows, uint64_t entries)
{
    const uint64_t l = (uint64_t)layers, e = (uint64_t)experts;
    return (ngram_shapes){
        {"ngram", 2, {"row", "order"}, {rows, MOE_NGRAM_ORDERS}},
        {"seen", 1, {"row"}, {rows}},
        {"share", 2, {"layer", "expert"}, {l, e}},
        {"discount", 2, {"layer", "order"}, {l, MOE_NGRAM_ORDERS}},
        {"met", 2, {"layer", "row"}, {l, rows}},
        {"visited", 1, {"entry"}, {entries}},
        {"visits", 1, {"entry"}, {entries}},
        {"firsts", 1, {"entry"}, {entries}}};
}

#endif
